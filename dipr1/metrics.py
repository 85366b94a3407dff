"""Detection metrics: COCO, the official ones of crowd benchmarks, and those of an answer as it is.

The first four functions take one array per image, boxes as xyxy in the image frame:

- ``detections``: (N, 5), the last column is the score;
- ``ground_truth``: (M, 4), the boxes to find;
- ``ignore``: (K, 4), areas where a detection counts neither for nor against.

:func:`official_figures` reads a benchmark's own files. What is matched once can be read off again
and again for resamples of the images (:mod:`dipr1.evaluation.ranked`).
"""

from dipr1.evaluation.coco_ap import coco_metrics
from dipr1.evaluation.jaccard import jaccard_index
from dipr1.evaluation.miss_rate import average_precision, log_average_miss_rate
from dipr1.evaluation.protocols import official_figures

__all__ = [
    "average_precision",
    "coco_metrics",
    "jaccard_index",
    "log_average_miss_rate",
    "official_figures",
]
