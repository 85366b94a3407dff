"""Every family of policies small enough for a test: its real classes, some ten thousand weights.

A miniature is taught the right answers to two images by heart, so that its responses can be read,
vary when they are sampled, and hold boxes of which it is known where they belong.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dipr1.demo import tiny
from dipr1.frames import Frame
from dipr1.prompts import build_prompt, render_response

HIDDEN = 64
VOCABULARY = 3000
KNOWN = 0.02  # loss of a token at which answers are known by heart
TEXT = {
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "bos_token_id": None,
}
INTERNVL_TOKENS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
QWEN_TOKENS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
QWEN_SPELLED = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")


def make_miniature(family: str, folder: Path) -> Path:
    """Save a checkpoint of a family of :data:`dipr1.policies.families.FAMILIES`, at random."""
    import torch

    torch.manual_seed(0)
    model, processor = MAKERS[family]()
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _qwen2_vl():
    import transformers as tf

    vision = {"depth": 2, "embed_dim": 32, "hidden_size": HIDDEN, "num_heads": 2, "mlp_ratio": 2}
    config = tf.Qwen2VLConfig(**_qwen(tf, vision, sections=[4, 6, 6]))
    return tf.Qwen2VLForConditionalGeneration(config), _qwen_processor(tf.Qwen2VLProcessor)


def _qwen2_5_vl():
    import transformers as tf

    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": HIDDEN,
        "fullatt_block_indexes": [1],
    }
    config = tf.Qwen2_5_VLConfig(**_qwen(tf, vision, sections=[4, 6, 6]))
    return tf.Qwen2_5_VLForConditionalGeneration(config), _qwen_processor(tf.Qwen2_5_VLProcessor)


def _qwen3_vl():
    import transformers as tf

    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": HIDDEN,
        "num_position_embeddings": 16,
        "patch_size": 16,
        "deepstack_visual_indexes": [0],
    }
    config = tf.Qwen3VLConfig(**_qwen(tf, vision, sections=[8, 4, 4], head_dim=32))
    return tf.Qwen3VLForConditionalGeneration(config), _qwen_processor(tf.Qwen3VLProcessor, 16)


def _qwen(tf, vision: dict[str, Any], sections: list[int], **text: Any) -> dict[str, Any]:
    """What the configurations of Qwen's families have in common."""
    tokenizer = build_tokenizer()
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections}
    of_text = TEXT | text | {"vocab_size": len(tokenizer), "rope_parameters": rope}
    of_text |= {name: getattr(tokenizer, name) for name in ("eos_token_id", "pad_token_id")}
    ids = dict(zip(QWEN_TOKENS, tokenizer.convert_tokens_to_ids(QWEN_SPELLED), strict=True))
    return {"text_config": of_text, "vision_config": vision, "tie_word_embeddings": True, **ids}


def _qwen_processor(kind, patch: int = 14):
    import transformers as tf

    size = {"shortest_edge": (2 * patch) ** 2, "longest_edge": 20 * (2 * patch) ** 2}
    video = tf.Qwen3VLVideoProcessor if kind is tf.Qwen3VLProcessor else tf.Qwen2VLVideoProcessor
    return kind(
        image_processor=tf.Qwen2VLImageProcessor(patch_size=patch, size=size),
        tokenizer=build_tokenizer(),
        video_processor=video(),
        chat_template=tiny.CHAT_TEMPLATE,
    )


def _internvl():
    import transformers as tf

    plain = build_tokenizer()
    plain.add_special_tokens({"additional_special_tokens": list(INTERNVL_TOKENS.values())})
    tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=plain.backend_tokenizer,
        eos_token=plain.eos_token,
        pad_token=plain.pad_token,
        padding_side="left",
        extra_special_tokens=INTERNVL_TOKENS,
    )
    text = {name: getattr(tokenizer, name) for name in ("eos_token_id", "pad_token_id")}
    config = tf.InternVLConfig(
        text_config=TEXT | text | {"model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "image_size": [56, 56],
        },
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
        tie_word_embeddings=True,
    )
    shown = "<|vision_start|><|image_pad|><|vision_end|>"
    processor = tf.InternVLProcessor(
        image_processor=tf.GotOcr2ImageProcessor(size={"height": 56, "width": 56}, max_patches=4),
        tokenizer=tokenizer,
        video_processor=tf.InternVLVideoProcessor(),
        image_seq_length=4,
        chat_template=tiny.CHAT_TEMPLATE.replace(shown, "<IMG_CONTEXT>\n"),
    )
    return tf.InternVLForConditionalGeneration(config), processor


def build_tokenizer():
    """A byte-level BPE that makes few tokens of our prompts and answers: numbers are one each."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    pieces = Regex(r"(?:[^\d\n]|(?<=_)\d+)+|\n|\d+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pieces, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(tiny.SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    frames = Frame.thousandths(2, 1), Frame.absolute(2, 1, 56, 28)
    prompts = [build_prompt(["person"], frame)[0]["content"] for frame in frames]
    boxes = [[0, 1, 2, 3]] * 3
    answers = [
        render_response(f"{n} of them.", boxes[:look], boxes[:n], ["person"] * n)
        for n in range(4)
        for look in range(3)
    ]
    numbers = " ".join(str(number) for number in range(1001))
    tokenizer.train_from_iterator([numbers] * 3 + (prompts + answers) * 20, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        additional_special_tokens=[t for t in tiny.SPECIAL_TOKENS[1:] if t != "<|im_end|>"],
    )


MAKERS = {
    "qwen2_vl": _qwen2_vl,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "internvl": _internvl,
}


def teach(
    folder: Path, rows: Sequence[dict], answers: Sequence[str], most: int = 300, rate: float = 5e-3
) -> float:
    """Teach a miniature its answers to rows of the prompts artifact by heart; the last loss."""
    import torch

    from dipr1.policies.load import image_source, load_image, load_policy
    from dipr1.policies.rendering import prompt_text

    policy = load_policy(str(folder), threads=1)
    model, processor = policy.model.train(), policy.processor
    ends = processor.tokenizer.eos_token
    inputs = processor(
        text=[
            prompt_text(processor, row["prompt"]) + answer + ends
            for row, answer in zip(rows, answers, strict=True)
        ],
        images=[load_image(*image_source(row)) for row in rows],
        padding=True,
        return_tensors="pt",
    )
    labels = torch.full_like(inputs["input_ids"], -100)
    for k, answer in enumerate(answers):
        told = len(processor.tokenizer(answer + ends)["input_ids"])
        labels[k, -told:] = inputs["input_ids"][k, -told:]  # padded on the left
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(most):
        loss = model(**inputs, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if loss.item() < KNOWN:
            break
    model.save_pretrained(folder)
    return loss.item()
