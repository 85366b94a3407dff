"""The training set as TRL's trainers read it: prompts with images, and the reward columns."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dipr1.artifacts.reward_columns import reward_columns
from dipr1.boxes import clip
from dipr1.policies.load import IMAGE_COLUMNS, image_source, load_image
from dipr1.prompts import render_response
from dipr1.regions import Target, look_targets
from dipr1.responses import Form
from dipr1.training.questions import variations

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL import Image

CACHED_BYTES = 1 << 30


class ImageCache:
    """Decoded images, the last ones used and no more than fit into `most` bytes."""

    def __init__(self, most: int = CACHED_BYTES) -> None:
        self._most, self._held = most, 0
        self._images: OrderedDict[tuple, Image.Image] = OrderedDict()

    def load(self, *source: Any) -> Image.Image:
        """An image by the arguments of :func:`dipr1.policies.load.load_image`."""
        image = self._images.pop(source, None)
        if image is None:
            image = load_image(*source)
            self._held += _num_bytes(image)
        self._images[source] = image
        while self._held > self._most:
            self._held -= _num_bytes(self._images.popitem(last=False)[1])
        return image


def _num_bytes(image: Image.Image) -> int:
    return 3 * image.width * image.height


def asked(
    prompts: pa.Table,
    variance: pa.Table | None,
    target: Target = "variance",
    **variety: Any,
) -> tuple[pa.Table, dict[str, list[Any]]]:
    """The prompts with all their variations end to end, and their reward columns.

    `target` is what :func:`dipr1.artifacts.reward_columns.reward_columns` takes, and `variety` what
    :func:`dipr1.training.questions.variations` takes.
    The `image_id` of a variation ends in `#` and its number: responses are grouped by it, and
    answers to different questions are no group.
    """
    tables, columns = [], {}
    for number, (part, statistics) in enumerate(variations(prompts, variance, **variety)):
        tables.append(part)
        for name, values in reward_columns(part, statistics, target).items():
            if number and name == "image_id":
                values = [f"{image_id}#{number}" for image_id in values]
            columns.setdefault(name, []).extend(values)
    return pa.concat_tables(tables), columns


def teacher_response(
    columns: dict[str, list[Any]],
    row: int,
    think: str,
    why: str | None = None,
    form: Form = "steps",
) -> str:
    """What a teacher would answer to prompt `row`: all objects, and looks at what is uncertain.

    Args:
        columns: of :func:`dipr1.artifacts.reward_columns.reward_columns`.
        row: which prompt.
        think: text of the first section; `{count}` becomes the number of objects. Better in words
            that the policy uses already, since a few updates teach no new ones.
        why: what is said of each look, if anything.
        form: of the response.
    """
    boxes = np.array(columns["gt_boxes"][row], np.float64).reshape(-1, 4)
    # left to right: an order that can be seen, where that of the annotations cannot
    order = np.argsort(boxes[:, 0] + boxes[:, 2], kind="stable")
    labels = [columns["gt_labels"][row][k] for k in order]
    looks = np.zeros((0, 4))
    if columns.get("region_boxes") and columns["region_boxes"][row] is not None:
        frame = columns["frame_width"][row], columns["frame_height"][row]
        hulls = clip(columns["region_boxes"][row], *frame)
        uncertainty = np.array(columns["region_uncertainty"][row])
        looks = hulls[look_targets(hulls, uncertainty)]
    return render_response(
        think.format(count=len(boxes)),
        looks,
        boxes[order],
        labels,
        whys=None if why is None else [why] * len(looks),
        form=form,
    )


def with_images(prompts: pa.Table, columns: dict[str, list[Any]]) -> Dataset:
    """Rows with `prompt`, `image` and further columns.

    What a row shows of an image is decoded when the row is first read, and kept for the other
    responses to its prompt.
    """
    from datasets import Dataset

    known = [name for name in IMAGE_COLUMNS if name in prompts.column_names]
    sources = [image_source(row) for row in prompts.select(known).to_pylist()]
    images = ImageCache()

    def open_images(batch: dict[str, list]) -> dict[str, list]:
        rows = batch.pop("row")
        return batch | {"image": [images.load(*sources[row]) for row in rows]}

    row = {"row": list(range(len(sources)))}
    lessons = Dataset.from_dict({"prompt": prompts["prompt"].to_pylist()} | columns | row)
    return lessons.with_transform(open_images)
