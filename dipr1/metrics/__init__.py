"""Detection metrics: COCO, CrowdHuman's official ones, and those of an answer taken as it is.

All of them take one array per image, boxes as xyxy in the image frame:

- ``detections``: (N, 5), the last column is the score;
- ``ground_truth``: (M, 4), the boxes to find;
- ``ignore``: (K, 4), areas where a detection counts neither for nor against.
"""

from dipr1.metrics.coco import coco_metrics
from dipr1.metrics.jaccard import jaccard_index
from dipr1.metrics.miss_rate import average_precision, log_average_miss_rate

__all__ = ["average_precision", "coco_metrics", "jaccard_index", "log_average_miss_rate"]
