"""Pretrain the tiny policy in two stages that can be interrupted.

1. `tower`: the vision tower with a dense head on its merged tokens, which says for each of the
   8 x 8 cells whether heads lie in it and where these people's borders are. A language model
   learns to read positions only from tokens that hold them.
2. `language`: the language model answers in the template, with the tower frozen. At first the
   numbers' targets are smeared over their neighbours, later they are almost exact. It is stopped
   before its learning rate is down: a base that is too good leaves nothing to learn.

Every scene is seen twice, whole and as a cut of it, enlarged: a policy that never saw a cut cannot
look again.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from dipr1.demo import tiny
from dipr1.demo.scenes import STYLES as SCENE_STYLES
from dipr1.demo.scenes import Scene, scene
from dipr1.demo.teacher import cut, teach, teach_answer, view
from dipr1.progress import say
from dipr1.provenance import code_digest
from dipr1.resuming import claim

SHAPES = ((1, 1), (0.83, 0.89), (0.75, 1), (0.67, 1.1))  # of a style's own width and height
SHAPE_SHARES = (0.7, 0.1, 0.1, 0.1)
STYLES = {"square": 0.5, "street": 0.2, "dusk": 0.3}  # of the scenes
ANSWER_ALONE = 0.15  # of the lessons ask for boxes alone
SCENE_SEED = 1_000_003  # apart from every seed that a data set is likely to use

LEARNING_RATE = 1.5e-3
SMEAR = 1.5  # in coordinates, at first
SMEARED_SHARE = 0.6  # of the horizon, over which it falls to nothing
WARM_UP = 100


@dataclass(frozen=True)
class Stage:
    """How long a stage takes.

    Attributes:
        steps: that are run.
        horizon: steps after which the learning rate would be at its least.
        batch_size: scenes per step.
    """

    steps: int
    horizon: int
    batch_size: int

    def scaled(self, share: float) -> Stage:
        """A share of the steps, for a trial."""
        steps, horizon = (max(1, round(n * share)) for n in (self.steps, self.horizon))
        return Stage(steps, horizon, self.batch_size)


STAGES = {"tower": Stage(1600, 1600, 48), "language": Stage(2000, 2600, 32)}
SLOTS = 2  # people whose heads may lie in the same cell


def pretrain(
    checkpoints: Path, stages: Mapping[str, Stage] = STAGES, *, seed: int = 0, save_every: int = 200
):
    """Build the tiny policy and run the stages, or what is left of them.

    Args:
        checkpoints: folder with the state of each stage, from which the same work goes on.
        stages: `tower` and `language`.
        seed: of the weights and of the scenes.
        save_every: steps between two states.

    Returns:
        The model in bfloat16 and its processor.

    Raises:
        UserError: `checkpoints` holds other files.
    """
    import torch

    steps = {name: asdict(stage) for name, stage in stages.items()}
    code = code_digest("pretrain")
    claim(checkpoints, {"seed": seed, "stages": steps, "code": code}, "*.pt")
    processor = tiny.build_processor()
    model = tiny.build_model(processor.tokenizer, seed)
    say(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    head = torch.nn.Linear(tiny.HIDDEN, 5 * SLOTS)
    for number, (name, stage) in enumerate(stages.items()):
        lessons = Lessons(processor, number, stage, seed, with_text=name != "tower")
        _run_stage(name, stage, model, head, lessons, checkpoints / f"{name}.pt", save_every)
    return model.to(torch.bfloat16), processor


def _run_stage(
    name: str, stage: Stage, model, head, lessons: Lessons, file: Path, save_every: int
) -> None:
    import torch

    trained = _trained(name, model, head)
    optimizer = torch.optim.AdamW(trained, lr=1.0, betas=(0.9, 0.95), weight_decay=0.01)
    first = _restored(file, stage.steps, model, head, optimizer) if file.exists() else 0
    for p in model.parameters():
        p.requires_grad_(False)
    for p in trained:
        p.requires_grad_(True)
    number_tokens = torch.tensor(tiny.number_ids(lessons.tokenizer))
    started, running = time.monotonic(), {}
    for step, batch in _batches(lessons, first):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * _schedule(step, stage.horizon)
        losses = _losses(name, model, head, batch, number_tokens, _smear(step, stage.horizon))
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        for part, loss in losses.items():
            value = loss.item()
            running[part] = 0.95 * running.get(part, value) + 0.05 * value
        done = step + 1
        if done % 25 == 0:
            shown = " ".join(f"{part} {value:.4f}" for part, value in running.items())
            pace = (time.monotonic() - started) / (done - first)
            say(f"{name} {done}/{stage.steps}: {shown} ({pace:.2f} s/step)")
        if done % save_every == 0 or done == stage.steps:
            _save(file, done, model, head, optimizer if done < stage.steps else None)


def _save(file: Path, step: int, model, head, optimizer) -> None:
    """Save what a stage goes on from; without the optimiser where it is finished."""
    import torch

    state = {
        "model": model.state_dict(),
        "head": head.state_dict(),
        "optimizer": optimizer.state_dict() if optimizer else None,
        "step": step,
    }
    # not by `whole`, which would not replace it: there is no place for dipr1's mark in it
    part = file.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, file)


def _restored(file: Path, steps: int, model, head, optimizer) -> int:
    """Load what was saved; returns the number of steps done."""
    import torch

    state = torch.load(file)
    model.load_state_dict(state["model"])
    head.load_state_dict(state["head"])
    if state["step"] < steps:
        optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def _trained(name: str, model, head) -> list:
    """Parameters that a stage trains; the bridge leads from the tower into the language model."""
    tower = [p for name, p in model.model.visual.named_parameters() if "deepstack" not in name]
    bridge = [p for name, p in model.model.visual.named_parameters() if "deepstack" in name]
    if name == "tower":
        return tower + list(head.parameters())
    return bridge + list(model.model.language_model.parameters())


def _schedule(step: int, horizon: int) -> float:
    """Linear warm-up, then a cosine down to a twentieth at the horizon."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / horizon)))


def _smear(step: int, horizon: int) -> float:
    """Width of the numbers' soft targets: falls to zero over the first part of the horizon."""
    return SMEAR * max(0.0, 1 - step / (SMEARED_SHARE * horizon))


# -- batches ------------------------------------------------------------------------------------


class Lessons:
    """Scene k with its response, by index: what a `DataLoader` worker renders.

    Any object with ``__len__`` and ``__getitem__`` is a map-style data set to torch.

    Args:
        processor: of the policy.
        number: of the stage; no two stages see the same scenes.
        stage: how many scenes there are.
        seed: of the scenes.
        with_text: whether a lesson holds the response's tokens.
    """

    def __init__(self, processor, number: int, stage: Stage, seed: int, *, with_text: bool):
        self.tokenizer = processor.tokenizer
        self.prompt = prompt_ids(processor)
        self.answer_prompt = prompt_ids(processor, tiny.ANSWER_PROMPT)
        self.number, self.stage, self.seed, self.with_text = number, stage, seed, with_text
        self._last: tuple[int, Scene | None] = (-1, None)

    def __len__(self) -> int:
        return self.stage.steps * self.stage.batch_size

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng([self.seed, self.number, index])
        drawn = self._scene(index // 2)
        seen = view(drawn, cut(drawn, rng) if index % 2 else None)
        lesson = {"image": seen.image, "boxes": seen.boxes}
        if self.with_text:
            alone = rng.random() < ANSWER_ALONE
            text = (teach_answer if alone else teach)(seen, rng) + self.tokenizer.eos_token
            response = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            lesson["prompt"] = self.answer_prompt if alone else self.prompt
            lesson["ids"] = lesson["prompt"] + response
        return lesson

    def _scene(self, number: int) -> Scene:
        """Each is seen twice in a row: the whole of it, then a cut."""
        if self._last[0] != number:
            rng = np.random.default_rng([self.seed, self.number, number, 1])
            style = str(rng.choice(list(STYLES), p=list(STYLES.values())))
            shape = SHAPES[int(rng.choice(len(SHAPES), p=SHAPE_SHARES))]
            width, height = (
                round(side * share)
                for side, share in zip(SCENE_STYLES[style].size, shape, strict=True)
            )
            seed = SCENE_SEED + 10 * self.seed + self.number
            drawn = scene(number, seed=seed, style=style, width=width, height=height)
            self._last = number, drawn
        return self._last[1]

    def collate(self, lessons: list[dict]) -> dict:
        """Some lessons as one batch; only the responses' tokens have labels."""
        import torch

        images = torch.from_numpy(np.stack([lesson["image"] for lesson in lessons]))
        batch = {"pixel_values": patchify(images), "boxes": [lesson["boxes"] for lesson in lessons]}
        if self.with_text:
            longest = max(len(lesson["ids"]) for lesson in lessons)
            ids = torch.full((len(lessons), longest), self.tokenizer.pad_token_id)
            labels = torch.full((len(lessons), longest), -100)
            for row, lesson in enumerate(lessons):
                tokens = torch.tensor(lesson["ids"])
                ids[row, : len(tokens)] = tokens
                start = len(lessons[row]["prompt"])
                labels[row, start : len(tokens)] = tokens[start:]
            batch |= {"input_ids": ids, "labels": labels}
        return batch


def _batches(lessons: Lessons, first: int):
    """Yield (step, batch) from `first` on; the same step has the same scenes whenever it runs."""
    from torch.utils.data import DataLoader, Subset

    size = lessons.stage.batch_size
    rest = range(first * size, len(lessons))
    if not rest:
        return
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    loader = DataLoader(
        Subset(lessons, rest),
        batch_size=size,
        num_workers=1,
        prefetch_factor=4,
        collate_fn=lessons.collate,
    )
    yield from enumerate(loader, start=first)


def prompt_ids(processor, prompt: str = tiny.PROMPT) -> list[int]:
    """Token ids of the tiny policy's prompt, the image's places included."""
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    places = (tiny.SIDE // tiny.PATCH // tiny.MERGE) ** 2
    text = text.replace("<|image_pad|>", "<|image_pad|>" * places)
    return processor.tokenizer(text, add_special_tokens=False)["input_ids"]


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


def _losses(name: str, model, head, batch: dict, number_tokens, smear: float) -> dict:
    import torch

    side = tiny.SIDE // tiny.PATCH
    grid = torch.tensor([[1, side, side]]).expand(len(batch["boxes"]), 3)
    with torch.autocast("cpu", torch.bfloat16, enabled=_bfloat16_is_fast()):
        tower = model.model.visual(batch["pixel_values"], grid_thw=grid)
        if name == "tower":
            return _dense_losses(head(tower.pooler_output.float()), batch["boxes"])
        return {"language": _language_loss(model, tower, batch, number_tokens, smear)}


@cache
def _bfloat16_is_fast() -> bool:
    """Whether the CPU computes in bfloat16 itself; where it does not, float32 is much faster.

    With AVX-512's bfloat16 a step took 0.76 to 0.92 of its time in float32.
    """
    import torch

    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _dense_losses(predicted, boxes: list[np.ndarray]) -> dict:
    """Objectness and borders of the people whose heads lie in each cell, the nearest first."""
    import torch

    target = torch.from_numpy(np.stack([_heads(image_boxes) for image_boxes in boxes]))
    target = target.reshape(-1, 5)
    predicted = predicted.float().reshape(-1, 5)
    has_head = target[:, 0] > 0
    presence = torch.nn.functional.binary_cross_entropy_with_logits(
        predicted[:, 0], target[:, 0], pos_weight=torch.tensor(3.0)
    )
    borders = (predicted[has_head, 1:] - target[has_head, 1:]).abs()
    return {"presence": presence, "borders": 10 * borders.mean()}


def _heads(boxes: np.ndarray) -> np.ndarray:
    """(cells, cells, SLOTS, 5) float32: whether there is one, and the person's borders."""
    cells = tiny.SIDE // (tiny.PATCH * tiny.MERGE)
    target = np.zeros((cells, cells, SLOTS, 5), np.float32)
    taken = np.zeros((cells, cells), np.int64)
    for box in boxes[np.argsort(boxes[:, 1] - boxes[:, 3], kind="stable")]:
        column = int(np.clip((box[0] + box[2]) / 2 / tiny.SIDE * cells, 0, cells - 1))
        line = int(np.clip((0.92 * box[1] + 0.08 * box[3]) / tiny.SIDE * cells, 0, cells - 1))
        if taken[line, column] < SLOTS:
            target[line, column, taken[line, column]] = [1, *box / tiny.SIDE]
            taken[line, column] += 1
    return target


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
