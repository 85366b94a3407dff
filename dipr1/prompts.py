"""Prompts: what the policy is asked, in whose frame, and what a perfect answer looks like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from dipr1.artifacts import BOXES, PROMPTS
from dipr1.errors import UserError
from dipr1.frames import Frame, smart_resize

# A policy with a fixed frame was pretrained on the template itself and needs no explanation.
TINY_PROMPT = "Find every {labels}."

# The ways to ask; the first one is everybody's, the others are for training sets.
REQUESTS = (
    "Find every {labels} in the image.",
    "Locate each {labels} that can be seen in the image.",
    "Where is every {labels} in this picture?",
    "Detect all instances of {labels} in the photo.",
)

PROMPT = """\
{request} Coordinates are {coordinates}; a box is [x1, y1, x2, y2], the left, \
upper, right and lower border of the whole object, its hidden part included.
Answer in three steps, in exactly this form and with nothing else:
<think> what the scene is and what makes it hard </think>
<look> [{{"bbox_2d": [x1, y1, x2, y2], "why": "what is uncertain there"}}, ...] </look>
<answer> [{{"bbox_2d": [x1, y1, x2, y2], "label": "{first_label}"}}, ...] </answer>
In <look> list the regions that need a closer look, such as overlapping or half-hidden objects; \
in <answer> list every object once, with one of the labels {quoted_labels}. Both are JSON lists \
and may be empty: []."""

_TINY_SIDE = 128
_PATCH_SIZE, _MERGE_SIZE = 14, 2  # of Qwen2-VL's processor where the checkpoint does not say
_MIN_PIXELS, _MAX_PIXELS = 56 * 56, 28 * 28 * 1280  # likewise

# How `model_type` in config.json begins -> the coordinates that the family was trained with.
FAMILIES: dict[str, Literal["absolute", "thousandths"]] = {
    "qwen2_vl": "absolute",
    "qwen2_5_vl": "absolute",
    "qwen3_vl": "thousandths",
    "internvl": "thousandths",
}


@dataclass(frozen=True)
class PolicyFrames:
    """How a checkpoint sees images.

    Attributes:
        kind: `absolute` or `thousandths`.
        fixed: (width, height) of the model frame where it is the same for every image.
        factor: sides are multiples of this many pixels (`absolute` without `fixed`).
        min_pixels, max_pixels: bounds of the resized area (`absolute` without `fixed`).
    """

    kind: Literal["absolute", "thousandths"]
    fixed: tuple[int, int] | None = None
    factor: int = _PATCH_SIZE * _MERGE_SIZE
    min_pixels: int = _MIN_PIXELS
    max_pixels: int = _MAX_PIXELS


def read_policy_frames(folder_or_name: str) -> PolicyFrames:
    """Read from a checkpoint's JSON files in which frame it answers.

    Args:
        folder_or_name: a Hugging Face checkpoint folder, or `tiny`.

    Raises:
        UserError: there is no such folder, its files are not JSON, or its family is not known.

    >>> read_policy_frames("tiny").fixed
    (128, 128)
    """
    if folder_or_name == "tiny":
        return PolicyFrames("absolute", fixed=(_TINY_SIDE, _TINY_SIDE))
    folder = Path(folder_or_name)
    config = _read_json(folder / "config.json")
    if config is None:
        raise UserError(
            f"{folder / 'config.json'}: no such file; --policy takes `tiny` or the folder of a"
            " downloaded Hugging Face checkpoint"
        )
    if declared := config.get("dipr1_frame"):
        return PolicyFrames("absolute", fixed=(int(declared["width"]), int(declared["height"])))
    family = str(config.get("model_type"))
    kind = next((kind for name, kind in FAMILIES.items() if family.startswith(name)), None)
    if kind is None:
        raise UserError(
            f"{folder / 'config.json'}: no known frame for model_type {family!r};"
            f" known families: {', '.join(FAMILIES)}"
        )
    return PolicyFrames("thousandths") if kind == "thousandths" else _read_resize(folder)


def _read_resize(folder: Path) -> PolicyFrames:
    """The resize of a Qwen2-VL processor; some checkpoints keep it in processor_config.json."""
    settings = _read_json(folder / "preprocessor_config.json")
    if settings is None:
        settings = (_read_json(folder / "processor_config.json") or {}).get("image_processor", {})
    size = settings.get("size") or {}
    # min_pixels wins over size where both are given, as in transformers.
    least = settings.get("min_pixels") or size.get("shortest_edge") or size.get("min_pixels")
    most = settings.get("max_pixels") or size.get("longest_edge") or size.get("max_pixels")
    return PolicyFrames(
        "absolute",
        factor=settings.get("patch_size", _PATCH_SIZE) * settings.get("merge_size", _MERGE_SIZE),
        min_pixels=least or _MIN_PIXELS,
        max_pixels=most or _MAX_PIXELS,
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); download the checkpoint again") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: expected a JSON object but got {type(found).__name__}")
    return found


def policy_frame(policy: PolicyFrames, width: int, height: int) -> Frame:
    """The frame of one image of `width` x `height` pixels.

    Raises:
        ValueError: a side is not positive, or the processor refuses the aspect ratio.

    >>> policy_frame(PolicyFrames("absolute"), 640, 480).model_width
    644
    """
    if policy.kind == "thousandths":
        return Frame.thousandths(width, height)
    if policy.fixed is not None:
        return Frame.absolute(width, height, *policy.fixed, fixed=True)
    return Frame.absolute(width, height, *_settled_size(policy, width, height))


def _settled_size(policy: PolicyFrames, width: int, height: int) -> tuple[int, int]:
    """The (width, height) that the processor leaves alone once an image was resized to it.

    One resize is not always enough. A strip whose short side was raised to `factor` can have more
    than `max_pixels`, and is shrunk again when the policy's processor is handed it.
    """
    size = (height, width)
    for _ in range(8):
        resized = smart_resize(*size, policy.factor, policy.min_pixels, policy.max_pixels)
        if resized == size:
            return size[1], size[0]
        size = resized
    raise ValueError(
        f"no size that the processor leaves alone has {policy.min_pixels} to {policy.max_pixels}"
        f" pixels and the shape of {width} x {height}"
    )


def build_prompt(labels: Sequence[str], frame: Frame, wording: int = 0) -> list[dict[str, str]]:
    """The conversation that asks for every object of `labels`, in the coordinates of `frame`.

    Args:
        labels: what is asked for.
        frame: of the image; a fixed one's policy knows a single wording.
        wording: which of `REQUESTS` it begins with.

    Returns:
        One user message with plain text; trainers and processors put the image before it.

    >>> build_prompt(["person"], Frame.absolute(192, 144, 128, 128, fixed=True))[0]["content"]
    'Find every person.'
    """
    named = " and ".join(labels)
    if frame.fixed:
        return [{"role": "user", "content": TINY_PROMPT.format(labels=named)}]
    if frame.kind == "thousandths":
        coordinates = "thousandths of the image's width and height, 0 to 1000"
    else:
        coordinates = f"pixels of the image, which is {frame.model_width} x {frame.model_height}"
    text = PROMPT.format(
        request=REQUESTS[wording].format(labels=named),
        coordinates=coordinates,
        first_label=labels[0],
        quoted_labels=", ".join(json.dumps(label, ensure_ascii=False) for label in labels),
    )
    return [{"role": "user", "content": text}]


def render_response(
    think: str,
    look_boxes: ArrayLike,
    answer_boxes: ArrayLike,
    labels: Sequence[str],
    whys: Sequence[str] | None = None,
    digits: int = 0,
) -> str:
    """A well-formed response: what a teacher would answer.

    Args:
        think: text of the first section, not empty.
        look_boxes: (L, 4) xyxy, model frame.
        answer_boxes: (N, 4) xyxy, model frame.
        labels: N labels of the answer.
        whys: L texts for the look boxes, or None to leave them out.
        digits: decimals of the coordinates; 0 writes integers.

    >>> print(render_response("One.", [], [[1, 2, 3.6, 4]], ["person"]))
    <think> One. </think>
    <look> [] </look>
    <answer> [{"bbox_2d": [1, 2, 4, 4], "label": "person"}] </answer>
    """
    looks = [{"bbox_2d": box} for box in _rounded(look_boxes, digits)]
    if whys is not None:
        looks = [look | {"why": why} for look, why in zip(looks, whys, strict=True)]
    answers = [
        {"bbox_2d": box, "label": label}
        for box, label in zip(_rounded(answer_boxes, digits), labels, strict=True)
    ]
    return (
        f"<think> {think} </think>\n"
        f"<look> {json.dumps(looks, ensure_ascii=False)} </look>\n"
        f"<answer> {json.dumps(answers, ensure_ascii=False)} </answer>"
    )


def _rounded(boxes: ArrayLike, digits: int) -> list[list[int]] | list[list[float]]:
    rounded = np.asarray(boxes, np.float64).reshape(-1, 4).round(digits)
    return (rounded.astype(np.int64) if digits == 0 else rounded).tolist()


def prompt_rows(annotations: pa.Table, labels: Sequence[str], policy: PolicyFrames) -> pa.Table:
    """Turn annotations into the prompts artifact: one grounded prompt per image.

    Args:
        annotations: the annotations artifact (image frame).
        labels: what is asked for; boxes of other labels are left out.
        policy: whose model frame the boxes are converted to.

    Returns:
        The prompts artifact, rows in the order of `annotations`. `gt_boxes` holds what has to be
        found; boxes marked ignore are in `ignore_boxes`.

    Raises:
        UserError: the policy's processor refuses an image's size.
    """
    frames, frame_of_image = _frames(annotations, policy)
    boxes, offsets = _flat_boxes(annotations["boxes"])
    frame_of_box = np.repeat(frame_of_image, np.diff(offsets))
    image_size, model_size = _sizes(frames)
    converted = Frame(
        policy.kind, *image_size[frame_of_box].T, *model_size[frame_of_box].T
    ).to_model(boxes)
    box_labels = _flat(annotations["labels"])
    asked = pc.is_in(box_labels, pa.array(list(labels), pa.string())).to_numpy(False)
    ignored = _flat(annotations["ignore"]).to_numpy(False).astype(bool)
    wanted, skipped = asked & ~ignored, asked & ignored
    gt_offsets = _offsets(wanted, offsets)
    prompts = [build_prompt(labels, frame) for frame in frames]
    num_images = annotations.num_rows
    return pa.table(
        {
            **{name: annotations[name] for name in ("image_id", "image", "width", "height")},
            "frame": pa.array([policy.kind] * num_images, pa.string()),
            "frame_width": pa.array(model_size[frame_of_image, 0]),
            "frame_height": pa.array(model_size[frame_of_image, 1]),
            "labels": pa.array([list(labels)] * num_images, PROMPTS.field("labels").type),
            "prompt": pa.array(prompts, PROMPTS.field("prompt").type).take(frame_of_image),
            "gt_boxes": _listed_boxes(converted[wanted], gt_offsets),
            "gt_labels": pa.ListArray.from_arrays(gt_offsets, box_labels.filter(wanted)),
            "ignore_boxes": _listed_boxes(converted[skipped], _offsets(skipped, offsets)),
        },
        schema=PROMPTS,
    )


def _frames(annotations: pa.Table, policy: PolicyFrames) -> tuple[list[Frame], np.ndarray]:
    """One frame per distinct image size, and for each image which one is its own."""
    sizes = np.stack([annotations["width"].to_numpy(), annotations["height"].to_numpy()], axis=1)
    distinct, first, frame_of_image = np.unique(
        sizes, axis=0, return_index=True, return_inverse=True
    )
    frames = []
    for (width, height), row in zip(distinct.tolist(), first.tolist(), strict=True):
        try:
            frames.append(policy_frame(policy, width, height))
        except ValueError as error:
            image = annotations["image"][row].as_py()
            raise UserError(
                f"{image}: the policy cannot see an image of this size: {error};"
                " take it out of the annotations"
            ) from None
    return frames, frame_of_image.reshape(-1)


def _sizes(frames: Sequence[Frame]) -> tuple[np.ndarray, np.ndarray]:
    """(F, 2) image sizes and (F, 2) model sizes, width first."""
    images = np.array([(frame.width, frame.height) for frame in frames], np.float64)
    models = np.array([(frame.model_width, frame.model_height) for frame in frames], np.float64)
    return images.reshape(-1, 2), models.reshape(-1, 2)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    """The items of a list column, end to end."""
    return pc.list_flatten(column.combine_chunks())


def _flat_boxes(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 4) boxes of all rows end to end, and where each row's begin (one more than rows)."""
    lengths = pc.list_value_length(column.combine_chunks()).to_numpy(False)
    boxes = pc.list_flatten(_flat(column)).to_numpy(False).reshape(-1, 4)
    return boxes, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _offsets(chosen: np.ndarray, offsets: np.ndarray) -> pa.Array:
    """Where each row's items begin once only the chosen ones are left."""
    return pa.array(np.concatenate([[0], np.cumsum(chosen)])[offsets], pa.int32())


def _listed_boxes(boxes: np.ndarray, offsets: pa.Array) -> pa.Array:
    coordinates = pa.array(boxes.astype(np.float32).reshape(-1))
    return pa.ListArray.from_arrays(
        offsets, pa.FixedSizeListArray.from_arrays(coordinates, 4)
    ).cast(BOXES)
