"""What each rule says of each scored box, label by label, as columns of the images artifact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from dipr1.artifacts.annotations import ANY_LABEL
from dipr1.artifacts.columns import listed
from dipr1.evaluation.answered import AnsweredImage
from dipr1.evaluation.coco_ap import coco_ranked
from dipr1.evaluation.jaccard import jaccard_counts, jaccard_ratios
from dipr1.evaluation.miss_rate import crowdhuman_ranked


def verdict_columns(images: Sequence[AnsweredImage]) -> dict[str, pa.Array]:
    """The columns of the images artifact that the metrics of ranked boxes are made of."""
    asked = dict.fromkeys(label for image in images for label in image.asked)
    boxes, labels = zip(*(_parts(images, label) for label in asked), strict=True)
    by_label = _lists(labels, "label", len(images))
    del by_label["label_label"]  # they stand in its order
    return _lists(boxes, "box", len(images)) | by_label


def _parts(images: Sequence[AnsweredImage], label: str) -> tuple[dict[str, np.ndarray], ...]:
    """What is kept of each box of a label, and of the label in each image that asks for it."""
    asked = np.flatnonzero([label in image.asked for image in images])
    place = np.zeros(len(images), np.int64)
    place[asked] = [images[image].asked.index(label) for image in asked]
    of_label = list(zip(*(_of_label(image, label) for image in images), strict=True))
    sizes = np.array([image.size for image in images], np.float64)
    coco, crowdhuman = coco_ranked(*of_label), crowdhuman_ranked(*of_label, sizes)
    # both rules rank by the score, ties in the order of the images and of the answer
    boxes = {
        "image": crowdhuman.image,
        "label": place[crowdhuman.image],
        "score": crowdhuman.score,
        "crowdhuman": crowdhuman.verdict,
        "coco": np.stack([ranking.verdict for ranking in coco], axis=1),
    }
    return boxes, {
        "image": asked,
        "label": place[asked],
        "objects": crowdhuman.objects[asked],
        "jaccard": jaccard_ratios(jaccard_counts(*of_label, sizes))[asked],
    }


def _of_label(image: AnsweredImage, label: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The detections, objects and ignore areas of one label; none where it is not asked for."""
    is_asked = label in image.asked
    return (
        image.detections[[is_asked and other == label for other in image.labels]],
        image.objects[[is_asked and other == label for other in image.object_labels]],
        image.ignore[[is_asked and other in (label, ANY_LABEL) for other in image.ignore_labels]],
    )


def _lists(
    parts: Sequence[dict[str, np.ndarray]], prefix: str, num_images: int
) -> dict[str, pa.Array]:
    """Columns of lists, one per image, in the order of the labels and then of the parts."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    image = columns.pop("image")
    order = np.lexsort((columns["label"], image))
    ends = np.cumsum(np.bincount(image, minlength=num_images))
    offsets = np.concatenate([[0], ends])
    return {f"{prefix}_{name}": listed(values[order], offsets) for name, values in columns.items()}
