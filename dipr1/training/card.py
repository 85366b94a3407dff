"""The model card of a trained policy: `README.md` in its folder, as the Hugging Face hub reads it.

It says what is known when training ends; the same policy has the same card, so it holds no dates
and no paths. Metrics come later: :mod:`dipr1.publishing` adds them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dipr1.artifacts.made import SHIPPED, Made, read_made
from dipr1.datasets.sources import SOURCES
from dipr1.errors import UserError
from dipr1.frames import PolicyFrames
from dipr1.policies.adapters import is_adapter
from dipr1.policies.families import read_policy_frames
from dipr1.policies.options import Generation
from dipr1.rewards import REWARDS

FILE = "README.md"
FOLDER_LINE = 'folder = "FOLDER"  # where this card lies'
METRICS_LINE = "They are not in this card; `dipr1 push --metrics` adds them."

TOLD = (
    "updates",
    "prompts_per_update",
    "group_size",
    "learning_rate",
    "sft_learning_rate",
    "temperature",
    "objective",
    "lora_rank",
    "quantisation",
    "precision",
    "dtype",
    "max_pixels",
)
"""Options of the training that the card names, where the arm has them."""

_METHODS = {"sft": "supervised fine-tuning on a teacher's responses", "grpo": "GRPO"}
_FORMS = {"steps": "think, look, answer", "answer": "boxes alone"}
# huggingface_hub's cache: models--ORG--NAME/snapshots/REVISION
_CACHED = re.compile(r"models--([^/]+?)--([^/]+)")


def write_card(folder: Path) -> None:
    """Write the card of a trained policy, which says itself what it was made from."""
    (folder / FILE).write_text(card(folder), encoding="utf-8")


def card(folder: Path) -> str:
    """The card of the policy in a folder: front matter in YAML, then Markdown.

    Raises:
        UserError: it does not say what it was made from, or is no policy.
    """
    made = training_of(folder)
    options = made.options
    prompts = _prompts_of(made)
    kind, looks = _format(prompts), options.get("form") != "answer"
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("card.md.j2").render(
        arm=made.arm,
        seed=made.seed,
        set=".".join(filter(None, (made.dataset, made.split))) or "not known",
        labels=(prompts.options or {}).get("labels") or ["person"],
        base=_base(made),
        adapter=is_adapter(folder),
        format=kind,
        method=_METHODS[options["method"]],
        form=_FORMS.get(options.get("form"), _FORMS["steps"]),
        looks=looks,
        asked="look_again=LookAgain()" if looks else 'form="answer"',
        words=" --look-again" if looks else " --form answer",
        frame=frame_in_words(read_policy_frames(str(folder))),
        max_new_tokens=longest_answer(options),
        folder_line=FOLDER_LINE,
        metrics_line=METRICS_LINE,
        options=", ".join(f"`{name}` {options[name]}" for name in TOLD if options.get(name)) + ".",
        rewards=_rewards(options),
        licence=licence(kind),
    )
    return f"---\n{yaml.safe_dump(_front_matter(folder, made), sort_keys=False)}---\n\n{text}"


def training_of(folder: Path) -> Made:
    """What a policy's folder says of its training; of a merged checkpoint, its adapter's.

    Raises:
        UserError: it was not trained by us, or the adapter is gone.
    """
    made = read_made(folder)
    if made.verb == "export" and made.inputs and os.path.exists(made.inputs[0].path):
        made = read_made(made.inputs[0].path)
    if made.verb != "train":
        raise UserError(
            f"{folder}: has no card, and was not trained by `dipr1 train`, or merged of an adapter"
            f" that is gone; write {FILE} yourself"
        )
    return made


def longest_answer(options: dict[str, Any]) -> int:
    """Tokens of an answer, at most: as many as it had in training, where that has a bound."""
    return options.get("max_completion_length") or Generation().max_new_tokens


def frame_in_words(frames: PolicyFrames) -> str:
    """In which frame a policy answers.

    >>> frame_in_words(PolicyFrames("thousandths"))
    "thousandths of the picture's width and height; dipr1 makes pixels of them"
    """
    if frames.fixed:
        width, height = frames.fixed
        where = f"pixels of the {width} x {height} picture that it is shown"
    elif frames.kind == "absolute":
        where = (
            f"pixels of the picture as its processor resizes it (sides are multiples of"
            f" {frames.factor}, {frames.min_pixels:,} to {frames.max_pixels:,} pixels in all)"
        )
    else:
        return "thousandths of the picture's width and height; dipr1 makes pixels of them"
    return f"{where}; dipr1 makes pixels of the whole picture of them"


def licence(kind: str | None) -> str:
    """The licence of what was annotated in a format, where that is one data set's own.

    >>> licence("coco")
    'not known here; look it up where the data are from'
    """
    if kind == "scenes":
        return "pictures drawn by dipr1, which has the Apache licence 2.0"
    own = [source for source in SOURCES.values() if source.format == kind and kind != "coco"]
    if not own:
        return "not known here; look it up where the data are from"
    titles = ", ".join(dict.fromkeys(source.title for source in own))
    return f"{titles}: {own[0].licence}"


def hub_name(path: str) -> str | None:
    """The name that the hub has for a checkpoint, where its folder is one of the hub's cache.

    >>> hub_name("hub/models--Qwen--Qwen2.5-VL-3B-Instruct/snapshots/66285546")
    'Qwen/Qwen2.5-VL-3B-Instruct'
    """
    found = _CACHED.search(path)
    return "/".join(found.groups()) if found else None


def base_path(made: Made) -> str:
    """The base policy's folder, or `tiny`: what was there before any training of ours."""
    path = next((one.path for one in made.inputs if one.artifact == "policy"), SHIPPED)
    before = _made(path)
    return base_path(before) if before.verb == "train" else path


def _base(made: Made) -> str:
    """The base in words, with the arm that training went on from, if it did."""
    path = base_path(made)
    name = "the policy that dipr1 comes with" if path == SHIPPED else f"`{base_name(path)}`"
    start = _made(next((one.path for one in made.inputs if one.artifact == "policy"), SHIPPED))
    return f"{name}, trained before as `{start.arm}`" if start.verb == "train" else name


def base_name(path: str) -> str:
    """What a base is called: as on the hub where that is known, else as its folder."""
    return hub_name(path) or Path(path).name


def _made(path: str) -> Made:
    return read_made(path) if path != SHIPPED and os.path.exists(path) else Made()


def _prompts_of(made: Made) -> Made:
    """What the prompts say that a policy was trained on; nothing where they are gone."""
    paths = [one.path for one in made.inputs if one.artifact == "prompts"]
    return _made(paths[0]) if paths else Made()


def _format(made: Made) -> str | None:
    """The format that annotations were in where they came from, `scenes` for drawn ones."""
    found = [_format(_made(one.path)) for one in made.inputs if one.artifact != "policy"]
    return next(filter(None, found), (made.options or {}).get("format"))


def _rewards(options: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "weight": f"{weight:g}",
            "meaning": REWARDS[name].meaning.format(one="object", many="objects"),
        }
        for name, weight in options.get("rewards", {}).items()
        if weight and name in REWARDS
    ]


def _front_matter(folder: Path, made: Made) -> dict[str, Any]:
    """What the hub files the policy under."""
    base = hub_name(base_path(made))
    return {
        **({"base_model": base} if base else {}),
        **({"datasets": [made.dataset]} if made.dataset else {}),
        "library_name": "peft" if is_adapter(folder) else "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["dipr1", "object-detection", "crowded-scenes", made.options["method"]],
    }
