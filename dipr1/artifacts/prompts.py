"""What the policy is asked: one grounded prompt per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from dipr1.artifacts import Artifact
from dipr1.artifacts.annotations import objects_and_areas
from dipr1.artifacts.columns import BOX, BOXES, EXIF, STRINGS, listed, narrowed, ragged, replaced
from dipr1.boxes import area, clip, ioa
from dipr1.errors import UserError
from dipr1.frames import Frame, PolicyFrames, policy_frame, window_frame
from dipr1.prompts import build_prompt, reframed
from dipr1.responses import Form

PROMPTS = Artifact(
    "prompts",
    pa.schema(
        {
            "image_id": pa.string(),
            "image": pa.string(),
            "width": pa.int32(),
            "height": pa.int32(),
            "frame": pa.string(),  # absolute | thousandths
            "frame_width": pa.float64(),
            "frame_height": pa.float64(),
            "labels": STRINGS,
            "prompt": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
            "gt_boxes": BOXES,  # model frame
            "gt_labels": STRINGS,
            "ignore_boxes": BOXES,  # model frame
        }
    ),
    # x1 y1 x2 y2 in whole pixels of the image: the part that is asked about; null is all of it.
    # width, height and the frame are then the part's, and boxes count from its corner.
    # ignore_labels: of each of ignore_boxes, where several labels are asked for.
    optional=pa.schema([*EXIF, pa.field("window", BOX), pa.field("ignore_labels", STRINGS)]),
)

LEAST_INSIDE = 0.4  # of what a window cuts, to be asked for


def prompt_rows(annotations: pa.Table, labels: Sequence[str], policy: PolicyFrames) -> pa.Table:
    """Turn annotations into the prompts artifact: one grounded prompt per image.

    Args:
        annotations: the annotations artifact (image frame).
        labels: what is asked for; boxes of other labels are left out.
        policy: whose model frame the boxes are converted to.

    Returns:
        The prompts artifact, rows in the order of `annotations`. `gt_boxes` holds what has to be
        found; boxes marked ignore are in `ignore_boxes` and, where several labels are asked for,
        their labels in `ignore_labels` (`ANY_LABEL` for all).

    Raises:
        UserError: the policy's processor refuses an image's size.
    """
    frames, frame_of_image = _frames(annotations, policy)
    boxes, offsets = ragged(annotations["boxes"])
    frame_of_box = np.repeat(frame_of_image, np.diff(offsets))
    image_size, model_size = _sizes(frames)
    converted = Frame(
        policy.kind, *image_size[frame_of_box].T, *model_size[frame_of_box].T
    ).to_model(boxes)
    box_labels = pc.list_flatten(annotations["labels"].combine_chunks())
    wanted, skipped = objects_and_areas(annotations, labels)
    gt_offsets = narrowed(offsets, wanted)
    converted = converted.astype(np.float32)
    prompts = [build_prompt(labels, frame) for frame in frames]
    num_images = annotations.num_rows
    optional = [name for name in EXIF.names if name in annotations.column_names]
    same = ("image_id", "image", "width", "height", *optional)
    ignore_offsets = narrowed(offsets, skipped)
    by_label = {}
    if len(labels) > 1:
        by_label["ignore_labels"] = listed(box_labels.filter(skipped), ignore_offsets)
    return pa.table(
        {
            **{name: annotations[name] for name in same},
            "frame": pa.array([policy.kind] * num_images, pa.string()),
            "frame_width": pa.array(model_size[frame_of_image, 0]),
            "frame_height": pa.array(model_size[frame_of_image, 1]),
            "labels": pa.array([list(labels)] * num_images, PROMPTS.schema.field("labels").type),
            "prompt": pa.array(prompts, PROMPTS.schema.field("prompt").type).take(frame_of_image),
            "gt_boxes": listed(converted[wanted], gt_offsets),
            "gt_labels": listed(box_labels.filter(wanted), gt_offsets),
            "ignore_boxes": listed(converted[skipped], ignore_offsets),
            **by_label,
        },
        schema=PROMPTS.schema_with([*optional, *by_label]),
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


def window_row(row: Mapping[str, Any], window: ArrayLike, policy: PolicyFrames) -> dict[str, Any]:
    """The same question about a window of an image only.

    Args:
        row: of the prompts artifact; may be a window itself.
        window: (4,) x1 y1 x2 y2 in pixels of what the row shows; cut to it, and rounded outwards to
            whole pixels.
        policy: whose frame the window is brought into, enlarged to cost what the row costs.

    Returns:
        A row of the prompts artifact with `window`, and with `gt_index`, which of the row's objects
        each object of the window is. An object of which `LEAST_INSIDE` lies inside
        is to be found there, as far as it lies inside; what else a border cuts is ignored.

    Raises:
        ValueError: nothing of the window lies inside, or the policy's processor refuses its shape.
    """
    low, high = np.floor(window[:2]), np.ceil(window[2:])
    part = clip(np.concatenate([low, high])[None], row["width"], row["height"])[0]
    width, height = (int(side) for side in part[2:] - part[:2])
    if min(width, height) < 1:
        raise ValueError(f"expected a window inside {row['width']} x {row['height']}, got {window}")
    before = frame_of(row)
    after = window_frame(policy, width, height, before.model_width * before.model_height)
    shown, ignored = (
        before.to_image(np.reshape(row[name], (-1, 4))) for name in ("gt_boxes", "ignore_boxes")
    )
    inside = ioa(shown, part[None])[:, 0]
    found = inside >= LEAST_INSIDE
    ignored = np.concatenate([ignored, shown[~found]])
    corner = np.tile(part[:2], 2)

    def converted(boxes: np.ndarray) -> list[list[float]]:
        boxes = clip(boxes - corner, width, height)
        return after.to_model(boxes[area(boxes) > 0]).tolist()

    by_label = {}
    if row.get("ignore_labels") is not None:
        cut = [label for label, kept in zip(row["gt_labels"], found, strict=True) if not kept]
        shows = area(clip(ignored - corner, width, height)) > 0
        names = zip([*row["ignore_labels"], *cut], shows, strict=True)
        by_label["ignore_labels"] = [label for label, there in names if there]

    outer = np.zeros(2) if row.get("window") is None else np.array(row["window"][:2])
    sides = [float(side) for side in part + np.tile(outer, 2)]
    return dict(row) | {
        "image_id": f"{row['image_id']}@" + ",".join(f"{side:.0f}" for side in sides),
        "window": sides,
        "width": width,
        "height": height,
        "frame_width": float(after.model_width),
        "frame_height": float(after.model_height),
        "prompt": reframed(row["prompt"], before, after),
        "gt_boxes": converted(shown[found]),
        "gt_labels": [label for label, kept in zip(row["gt_labels"], found, strict=True) if kept],
        "gt_index": np.flatnonzero(found).tolist(),
        "ignore_boxes": converted(ignored),
        **by_label,
    }


def frame_of(row: Mapping[str, Any]) -> Frame:
    """The frame of a row of the prompts artifact.

    >>> row = {"width": 200, "height": 100, "frame_width": 1000.0, "frame_height": 1000.0}
    >>> frame_of(row | {"frame": "thousandths"}).to_image([[0, 0, 500, 500]])
    array([[  0.,   0., 100.,  50.]])
    """
    sizes = (row[name] for name in ("width", "height", "frame_width", "frame_height"))
    return Frame(row["frame"], *sizes)


def reworded(
    prompts: pa.Table,
    fixed: bool,
    *,
    asked: Sequence[Sequence[str]] | None = None,
    wordings: Sequence[int] | None = None,
    form: Form = "steps",
) -> pa.Table:
    """The same rows with another question each.

    Args:
        prompts: the prompts artifact.
        fixed: the policy's frame is the same for every image.
        asked: the labels that each row asks for; by default the same as before.
        wordings: of each row; by default the usual one.
        form: of the response.
    """
    asked = prompts["labels"].to_pylist() if asked is None else asked
    wordings = [0] * prompts.num_rows if wordings is None else wordings
    sizes = [
        prompts[name].to_pylist()
        for name in ("frame", "width", "height", "frame_width", "frame_height")
    ]
    texts = [
        build_prompt(labels, Frame(*size, fixed=fixed), wording, form)
        for labels, wording, *size in zip(asked, wordings, *sizes, strict=True)
    ]
    columns = {
        "labels": pa.array(asked, STRINGS),
        "prompt": pa.array(texts, PROMPTS.schema.field("prompt").type),
    }
    return replaced(prompts, columns)
