"""Build and pretrain the tiny policy in two stages that can be interrupted (verb ``pretrain``).

1. `tower`: the vision tower with a dense head on its merged tokens, which says for each of the
   8 x 8 cells whether a head lies in it and where that person's borders are. A language model
   learns to read positions only from tokens that hold them.
2. `language`: the language model answers in the template, with the tower frozen. At first the
   numbers' targets are smeared over their neighbours, later they are almost exact. It is stopped
   half way down its learning rate: a base that is too good leaves nothing to learn.

The teacher is flawed on purpose, as a base MLLM is, so that reinforcement has something to mend:
it leaves out half of the hidden people, hints at two overlaps at most when it looks, and answers
an empty street in prose more often than with an empty list.
"""

from __future__ import annotations

import math
import os
import time

import numpy as np

from dipr1.artifacts.writing import whole
from dipr1.demo import tiny
from dipr1.demo.scenes import Scene, scene
from dipr1.frames import Frame, policy_frame
from dipr1.policies.families import read_policy_frames
from dipr1.progress import say
from dipr1.prompts import build_prompt, render_response

WHY = "overlap"
THOUGHTS = (
    "An empty street.",
    "A street with 1 person.",
    "A street with {count} people.",
    "A crowded street with {count} people.",
)
EMPTY_PROSE = "no people"

HIDDEN_VISIBILITY = 0.6  # below it, a person is one that the teacher may leave out
SKIP_HIDDEN = 0.5
SKIP_LOOK = 0.15
EMPTY_IN_PROSE = 0.65
LOOK_JITTER = 3.0  # model pixels
LEAST_OVERLAP = 0.25  # of the smaller of two people
SIZES = ((192, 144), (160, 128), (144, 144), (128, 160))
SIZE_SHARES = (0.7, 0.1, 0.1, 0.1)
SCENE_SEED = 1_000_003  # apart from every seed that a data set is likely to use

STEPS = {"tower": 800, "language": 800}
HORIZON = {"tower": 800, "language": 1600}  # steps over which the learning rate would fall
BATCH = {"tower": 48, "language": 32}
LEARNING_RATE = 1.5e-3
SMEAR = 1.5  # in coordinates, at first
SMEARED_SHARE = 0.6  # of the horizon, over which it falls to nothing
WARM_UP = 100
SAVE_EVERY = 200


def _run_stage(stage: str, model, head, processor, args) -> None:
    import torch

    steps = max(1, round(STEPS[stage] * args.scale))
    horizon = max(1, round(HORIZON[stage] * args.scale))
    state_file = args.checkpoints / f"{stage}.pt"
    trained = _trained(stage, model, head)
    optimizer = torch.optim.AdamW(trained, lr=1.0, betas=(0.9, 0.95), weight_decay=0.01)
    first = 0
    if state_file.exists():
        state = torch.load(state_file)
        model.load_state_dict(state["model"])
        head.load_state_dict(state["head"])
        first = state["step"]
        if first < steps:
            optimizer.load_state_dict(state["optimizer"])
    for p in model.parameters():
        p.requires_grad_(False)
    for p in trained:
        p.requires_grad_(True)
    number_tokens = torch.tensor(tiny.number_ids(processor.tokenizer))
    started, running = time.monotonic(), {}
    for step, batch in _batches(stage, first, steps, processor, args.seed):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * _schedule(step, horizon)
        losses = _losses(stage, model, head, batch, number_tokens, smear=_smear(step, horizon))
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        for name, loss in losses.items():
            value = loss.item()
            running[name] = 0.95 * running.get(name, value) + 0.05 * value
        done = step + 1
        if done % 25 == 0:
            shown = " ".join(f"{name} {value:.4f}" for name, value in running.items())
            pace = (time.monotonic() - started) / (done - first)
            say(f"{stage} {done}/{steps}: {shown} ({pace:.2f} s/step)")
        if done % SAVE_EVERY == 0 or done == steps:
            state = {
                "model": model.state_dict(),
                "head": head.state_dict(),
                "optimizer": optimizer.state_dict() if done < steps else None,
                "step": done,
            }
            with whole(state_file) as part:
                torch.save(state, part)


def _trained(stage: str, model, head) -> list:
    """Parameters that a stage trains; the bridge leads from the tower into the language model."""
    tower = [p for name, p in model.model.visual.named_parameters() if "deepstack" not in name]
    bridge = [p for name, p in model.model.visual.named_parameters() if "deepstack" in name]
    language = list(model.model.language_model.parameters())
    return {
        "tower": tower + list(head.parameters()),
        "language": bridge + language,
    }[stage]


def _schedule(step: int, horizon: int) -> float:
    """Linear warm-up, then a cosine down to a twentieth at the horizon."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / horizon)))


def _smear(step: int, horizon: int) -> float:
    """Width of the numbers' soft targets: falls to zero over the first part of the horizon."""
    return SMEAR * max(0.0, 1 - step / (SMEARED_SHARE * horizon))


# -- teacher ------------------------------------------------------------------------------------


def teach(drawn: Scene, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """The flawed teacher's response to a scene.

    Returns:
        The response's text, and all the scene's boxes in the model frame ((N, 4), left to right).
    """
    width, height = drawn.image.size
    frame = Frame.absolute(width, height, tiny.SIDE, tiny.SIDE)
    order = np.argsort((drawn.boxes[:, 0] + drawn.boxes[:, 2]) / 2, kind="stable")
    boxes = frame.to_model(drawn.boxes[order])
    visibility = drawn.visibility[order]
    pairs = _overlapping_pairs(boxes)
    looks = [
        _hull(boxes[list(pair)]) + rng.normal(0, LOOK_JITTER, 4)
        for pair in pairs[:2]
        if rng.random() >= SKIP_LOOK
    ]
    looks = np.clip(np.array(looks).reshape(-1, 4), 0, tiny.SIDE)
    kept = (visibility >= HIDDEN_VISIBILITY) | (rng.random(len(boxes)) >= SKIP_HIDDEN)
    answer = boxes[kept]
    count = len(answer)
    thought = THOUGHTS[min(count, 2) + (count > 1 and len(pairs) >= 2)]
    text = render_response(
        thought.format(count=count),
        looks,
        answer,
        ["person"] * count,
        whys=[WHY] * len(looks),
    )
    if not count and rng.random() < EMPTY_IN_PROSE:
        text = text.replace("<answer> [] </answer>", f"<answer> {EMPTY_PROSE} </answer>")
    return text, boxes


def _overlapping_pairs(boxes: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of boxes that cover each other, the most first."""
    from dipr1.boxes import ioa

    if len(boxes) < 2:
        return []
    covered = np.maximum(ioa(boxes, boxes), ioa(boxes, boxes).T)
    first, second = np.triu_indices(len(boxes), 1)
    share = covered[first, second]
    order = np.argsort(-share, kind="stable")
    return [(int(first[k]), int(second[k])) for k in order if share[k] >= LEAST_OVERLAP]


def _hull(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])


# -- batches ------------------------------------------------------------------------------------


class Lessons:
    """Scene k with its response, by index: what a `DataLoader` worker renders.

    Any object with ``__len__`` and ``__getitem__`` is a map-style data set to torch.
    """

    def __init__(self, stage: str, length: int, tokenizer, prefix: list[int], seed: int):
        self.stage, self.length, self.seed = stage, length, seed
        self.tokenizer, self.prefix = tokenizer, prefix

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        stage = list(STEPS).index(self.stage)
        rng = np.random.default_rng([self.seed, stage, index])
        size = [(192, 144), (160, 128), (144, 144), (128, 160)][
            int(rng.choice(4, p=[0.7] + [0.1] * 3))
        ]
        drawn = scene(
            index,
            seed=SCENE_SEED + 10 * self.seed + stage,
            width=size[0],
            height=size[1],
        )
        text, boxes = teach(drawn, rng)
        image = np.asarray(drawn.image.resize((tiny.SIDE, tiny.SIDE), resample=3))
        lesson = {"image": image, "boxes": boxes}
        if self.stage != "tower":
            end = self.tokenizer.eos_token
            response = self.tokenizer(text + end, add_special_tokens=False)["input_ids"]
            lesson["ids"] = self.prefix + response
        return lesson


def _batches(stage: str, first: int, steps: int, processor, seed: int):
    """Yield (step, batch) from `first` on; the same step has the same scenes whenever it runs."""
    from functools import partial

    from torch.utils.data import DataLoader, Subset

    if first >= steps:
        return
    size = BATCH[stage]
    prefix = prompt_ids(processor)
    lessons = Lessons(stage, steps * size, processor.tokenizer, prefix, seed)
    rest = Subset(lessons, range(first * size, steps * size))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    loader = DataLoader(
        rest,
        batch_size=size,
        num_workers=1,
        prefetch_factor=4,
        collate_fn=partial(
            _collate, pad=processor.tokenizer.pad_token_id, prompt_length=len(prefix)
        ),
    )
    yield from enumerate(loader, start=first)


def prompt_ids(processor) -> list[int]:
    """Token ids of the tiny policy's prompt, the image's places included."""
    prompt = build_prompt(
        ["person"], policy_frame(read_policy_frames("tiny"), tiny.SIDE, tiny.SIDE)
    )
    content = [{"type": "image"}, {"type": "text", "text": prompt[0]["content"]}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    places = (tiny.SIDE // tiny.PATCH // tiny.MERGE) ** 2
    text = text.replace("<|image_pad|>", "<|image_pad|>" * places)
    return processor.tokenizer(text, add_special_tokens=False)["input_ids"]


def _collate(lessons: list[dict], pad: int, prompt_length: int) -> dict:
    import torch

    images = torch.from_numpy(np.stack([lesson["image"] for lesson in lessons]))
    batch = {"pixel_values": patchify(images), "boxes": [lesson["boxes"] for lesson in lessons]}
    if "ids" in lessons[0]:
        longest = max(len(lesson["ids"]) for lesson in lessons)
        ids = torch.full((len(lessons), longest), pad)
        labels = torch.full((len(lessons), longest), -100)
        for row, lesson in enumerate(lessons):
            tokens = torch.tensor(lesson["ids"])
            ids[row, : len(tokens)] = tokens
            labels[row, prompt_length : len(tokens)] = tokens[prompt_length:]
        batch |= {"input_ids": ids, "labels": labels}
    return batch


def patchify(images):
    """Patches in the order of the image processor: (B, 128, 128, 3) uint8 -> (B * 256, 192).

    The patches of one merged token stand together; equality with the processor is tested.
    """
    grid = tiny.SIDE // tiny.PATCH // tiny.MERGE
    pixels = images.permute(0, 3, 1, 2).float() / 127.5 - 1
    pixels = pixels.reshape(
        len(images), 3, grid, tiny.MERGE, tiny.PATCH, grid, tiny.MERGE, tiny.PATCH
    )
    pixels = pixels.permute(0, 2, 5, 3, 6, 1, 4, 7)
    return pixels.reshape(len(images) * (grid * tiny.MERGE) ** 2, 3 * tiny.PATCH**2)


# -- losses -------------------------------------------------------------------------------------


def _losses(stage: str, model, head, batch: dict, number_tokens, smear: float) -> dict:
    import torch

    count = len(batch["boxes"])
    side = tiny.SIDE // tiny.PATCH
    grid = torch.tensor([[1, side, side]]).expand(count, 3)
    with torch.autocast("cpu", torch.bfloat16):
        tower = model.model.visual(batch["pixel_values"], grid_thw=grid)
        losses = {}
        if stage == "tower":
            losses |= _dense_losses(head(tower.pooler_output.float()), batch["boxes"])
        else:
            losses["language"] = _language_loss(model, tower, batch, number_tokens, smear)
    return losses


def _dense_losses(predicted, boxes: list[np.ndarray]) -> dict:
    """Objectness and borders of the person whose head lies in each cell."""
    import torch

    cells = tiny.SIDE // (tiny.PATCH * tiny.MERGE)
    target = np.zeros((len(boxes), cells, cells, 5), np.float32)
    for row, image_boxes in enumerate(boxes):
        # small (far) people first, so that the nearest one keeps a cell that two heads share
        for box in image_boxes[np.argsort(image_boxes[:, 3] - image_boxes[:, 1])]:
            column = int(np.clip((box[0] + box[2]) / 2 / tiny.SIDE * cells, 0, cells - 1))
            line = int(np.clip((0.92 * box[1] + 0.08 * box[3]) / tiny.SIDE * cells, 0, cells - 1))
            target[row, line, column] = [1, *box / tiny.SIDE]
    target = torch.from_numpy(target).reshape(-1, 5)
    predicted = predicted.float().reshape(-1, 5)
    found = target[:, 0] > 0
    presence = torch.nn.functional.binary_cross_entropy_with_logits(
        predicted[:, 0], target[:, 0], pos_weight=torch.tensor(3.0)
    )
    borders = (predicted[found, 1:] - target[found, 1:]).abs()
    return {"presence": presence, "borders": 10 * borders.mean()}


def _language_loss(model, tower, batch: dict, number_tokens, smear: float):
    """Cross-entropy of the response; number tokens may share theirs with their neighbours."""
    import torch

    ids, labels = batch["input_ids"], batch["labels"]
    embeddings = model.get_input_embeddings()(ids)
    places = ids == model.config.image_token_id
    embeddings = embeddings.masked_scatter(
        places[..., None].expand_as(embeddings), tower.pooler_output.to(embeddings.dtype)
    )
    side = tiny.SIDE // tiny.PATCH
    positions, _ = model.model.get_rope_index(
        ids,
        mm_token_type_ids=places.int(),
        image_grid_thw=torch.tensor([[1, side, side]]).expand(len(ids), 3),
        attention_mask=torch.ones_like(ids),
    )
    hidden = model.model.language_model(
        inputs_embeds=embeddings,
        position_ids=positions,
        visual_pos_masks=places,
        deepstack_visual_embeds=tower.deepstack_features,
        use_cache=False,
    ).last_hidden_state
    asked = labels[:, 1:] != -100
    logits = model.lm_head(hidden[:, :-1][asked]).float()
    wanted = labels[:, 1:][asked]
    loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
    if smear > 0:
        every = torch.arange(len(number_tokens))
        value = torch.full((logits.shape[1],), -1).index_copy(0, number_tokens, every)[wanted]
        numbers = value >= 0
        distance = (every - value[numbers, None]).float()
        soft = torch.softmax(-(distance**2) / (2 * smear**2), dim=1)
        log_probability = torch.log_softmax(logits[numbers], dim=1)[:, number_tokens]
        loss = loss.index_copy(0, numbers.nonzero()[:, 0], -(soft * log_probability).sum(1))
    return loss.mean()
