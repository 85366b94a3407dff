"""The embedded tiny policy: a real Qwen3-VL model of three million parameters.

It plays the part of the base MLLM where no large one is at hand. Qwen3-VL's classes are used
because their learned position table tells the image tokens where they are; with rotary positions
alone (Qwen2.5-VL) a model of this size does not learn to localise.

Its frame is 128 x 128 whatever the image: images are resized to that square first, so a
coordinate is one of the numbers 0..128, and each of these is one token.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dipr1.frames import Frame
from dipr1.prompts import build_prompt, render_response

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

SIDE = 128
PATCH = 8
MERGE = 2
HIDDEN = 192
VOCABULARY = 640
_FRAME = Frame.absolute(SIDE, SIDE, SIDE, SIDE, fixed=True)
PROMPT = build_prompt(["person"], _FRAME)[0]["content"]
ANSWER_PROMPT = build_prompt(["person"], _FRAME, form="answer")[0]["content"]
# what the policy says in words, of which the tokenizer makes few tokens
THOUGHTS = (
    "An empty street.",
    "A street with 1 person.",
    "A street with {count} people.",
    "A crowded street with {count} people.",
)
WHY = "overlap"
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer():
    """A byte-level BPE in which each of the numbers 0..128 is one token.

    Text between numbers, up to the end of the line, is one unit for the merges (`bbox_2d` does not
    count as a number), so the glue between two boxes becomes a single token.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    # the generic class: Qwen2's would replace the pre-tokenizer by its own when it is loaded
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"(?:[^\d\n]|(?<=_)\d+)+|\n|\d+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        additional_special_tokens=[t for t in SPECIAL_TOKENS[1:] if t != "<|im_end|>"],
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _corpus() -> list[str]:
    """Template texts from which the merges are learnt: every number, every turn of phrase."""
    numbers = range(SIDE + 1)
    texts = [" ".join(str(n) for n in numbers)] * 50
    turns = [
        f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        for prompt in (PROMPT, ANSWER_PROMPT)
    ]
    for thought in THOUGHTS:
        for count in range(12):
            boxes = [[n % 129, 0, 1, 2] for n in range(count)]
            think = thought.format(count=count)
            for looks in (boxes, boxes[:1], boxes[:2], []):
                for whys in ([WHY] * len(looks), None):
                    text = render_response(think, looks, boxes, ["person"] * count, whys)
                    texts += [text, *turns]
    return texts


def build_processor():
    """Tokenizer and image processor of the tiny policy, as one Qwen3-VL processor."""
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    size = {"shortest_edge": SIDE * SIDE, "longest_edge": SIDE * SIDE}
    shared = {
        "patch_size": PATCH,
        "merge_size": MERGE,
        "temporal_patch_size": 1,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "size": size,
    }
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**shared),
        tokenizer=build_tokenizer(),
        video_processor=Qwen3VLVideoProcessor(**shared),
        chat_template=CHAT_TEMPLATE,
    )


def build_model(tokenizer, seed: int = 0) -> PreTrainedModel:
    """The model, freshly initialised.

    The numbers' embeddings start as smooth functions of the number: neighbours begin alike, so
    what is learnt of one coordinate carries over to the next.
    """
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(_config(tokenizer))
    with torch.no_grad():
        # what it adds to the language model's first layer is nothing before it has learnt something
        model.model.visual.deepstack_merger_list[0].linear_fc2.weight.zero_()
        numbers = torch.arange(SIDE + 1)[:, None]
        frequencies = 2 * torch.pi / 256 * 2 ** (5 * torch.rand(HIDDEN)) / 2
        phases = 2 * torch.pi * torch.rand(HIDDEN)
        waves = 0.02 * 2**0.5 * torch.cos(numbers * frequencies + phases)
        model.get_input_embeddings().weight[number_ids(tokenizer)] = waves
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def _config(tokenizer):
    from transformers import Qwen3VLConfig

    ids = tokenizer.convert_tokens_to_ids
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [8, 4, 4],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            "depth": 4,
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_heads": 4,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 1,
            "out_hidden_size": HIDDEN,
            "num_position_embeddings": (SIDE // PATCH) ** 2,
            "deepstack_visual_indexes": [2],
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )


def number_ids(tokenizer) -> list[int]:
    """Token id of each of the numbers 0..128."""
    return [tokenizer.convert_tokens_to_ids(str(number)) for number in range(SIDE + 1)]


def save(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> None:
    """Save a Hugging Face checkpoint folder; the frame is declared in its config.json."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["dipr1_frame"] = {"width": SIDE, "height": SIDE}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
