"""What became of each box, and the figures that metrics are made of: one row per image.

Further columns are the rewards, `reward_{name}`, and what a metric keeps of its own (docs: how to
add a metric); null where undefined.
"""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact
from dipr1.artifacts.columns import STRINGS

VERDICTS = pa.list_(pa.int8(), 10)  # one per IoU threshold

IMAGES = Artifact(
    "images",
    pa.schema(
        {
            "image_id": pa.string(),
            "num_objects": pa.int32(),  # to be found
            "num_boxes": pa.int32(),  # answered
            "num_looks": pa.int32(),
            "num_tokens": pa.int32(),
            "well_formed": pa.bool_(),
            "readable": pa.bool_(),  # the answer
            "num_counted": pa.int32(),  # boxes that no ignore area swallows, at IoU 0.5
            "hits50": pa.int32(),
            "num_counted75": pa.int32(),  # the same at IoU 0.75
            "hits75": pa.int32(),
            "errors": pa.int32(),  # missed objects and false boxes at IoU 0.5
            "look_share": pa.float64(),  # of the image's area
            "look_hits": pa.int32(),  # hits, false boxes and missed objects in the look regions
            "look_false": pa.int32(),
            "look_missed": pa.int32(),
            "look_by_chance": pa.float64(),  # errors in look regions that lie at random
            "look_recall": pa.float64(),  # null where there is nothing to look at, or no variance
            # each object to be found
            "object_height": pa.list_(pa.float64()),  # of the image's height
            "object_visibility": pa.list_(pa.float64()),  # NaN where unknown
            "object_found": pa.list_(pa.bool_()),  # at IoU 0.5
            "region_uncertainty": pa.list_(pa.float64()),  # null without variance
            "region_erred": pa.list_(pa.bool_()),  # the answer errs in the region
            "region_is_object": pa.list_(pa.bool_()),  # else a phantom
            "score": pa.string(),  # how the boxes were scored
            "labels": STRINGS,  # asked for
            "label_objects": pa.list_(pa.int32()),  # per label: objects to be found
            "label_jaccard": pa.list_(pa.list_(pa.float64(), 10)),  # per label and score threshold
            # boxes of the labels asked for, label by label, the highest score first
            "box_label": pa.list_(pa.int32()),  # index in labels
            "box_score": pa.list_(pa.float64()),
            # verdicts: 1 true, 0 false, -1 does not count
            "box_crowdhuman": pa.list_(pa.int8()),
            "box_coco": pa.list_(VERDICTS),  # at IoU 0.50, 0.55 ... 0.95
        }
    ),
    further=pa.float64(),
)
