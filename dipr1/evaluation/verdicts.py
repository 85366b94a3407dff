"""What each rule says of each scored box, label by label, as columns of the images artifact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from dipr1.artifacts.columns import listed
from dipr1.evaluation.answered import AnsweredImage
from dipr1.evaluation.coco_ap import coco_ranked
from dipr1.evaluation.jaccard import jaccard_counts, jaccard_ratios
from dipr1.evaluation.miss_rate import crowdhuman_ranked


def verdict_columns(images: Sequence[AnsweredImage]) -> dict[str, pa.Array]:
    """The columns of the images artifact that the metrics of ranked boxes are made of."""
    sizes = np.array([image.size for image in images], np.float64)
    boxes: list[dict[str, np.ndarray]] = []
    labels: list[dict[str, np.ndarray]] = []
    for label in dict.fromkeys(label for image in images for label in image.asked):
        asked = np.flatnonzero([label in image.asked for image in images])
        place = np.zeros(len(images), np.int64)
        place[asked] = [images[image].asked.index(label) for image in asked]
        of_label = [_of_label(image, label) for image in images]
        coco = coco_ranked(*zip(*of_label, strict=True))
        crowdhuman = crowdhuman_ranked(*zip(*of_label, strict=True), sizes)
        counts = jaccard_counts(*zip(*of_label, strict=True), sizes)
        # both rules rank by the score, ties in the order of the images and of the answer
        boxes.append(
            {
                "image": crowdhuman.image,
                "label": place[crowdhuman.image],
                "score": crowdhuman.score,
                "crowdhuman": crowdhuman.verdict,
                "coco": np.stack([ranking.verdict for ranking in coco], axis=1),
            }
        )
        labels.append(
            {
                "image": asked,
                "label": place[asked],
                "objects": crowdhuman.objects[asked],
                "jaccard": jaccard_ratios(counts)[asked],
            }
        )
    by_label = _lists(labels, "label", len(images))
    del by_label["label_label"]  # they stand in its order
    return _lists(boxes, "box", len(images)) | by_label


def _of_label(image: AnsweredImage, label: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The detections, objects and ignore areas of one label; none where it is not asked for."""
    if label not in image.asked:
        return np.empty((0, 5)), np.empty((0, 4)), np.empty((0, 4))
    return (
        image.detections[[other == label for other in image.labels]],
        image.objects[[other == label for other in image.object_labels]],
        image.ignore,
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
