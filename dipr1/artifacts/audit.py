"""Likely label errors, the likeliest first."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact
from dipr1.artifacts.columns import BOX, EXIF

AUDIT = Artifact(
    "audit",
    pa.schema(
        {
            "rank": pa.int32(),  # 0 first
            "image_id": pa.string(),
            "image": pa.string(),
            # missing_label | unsupported_label | loose_label | swapped_label | uncertain
            "kind": pa.string(),
            "region": pa.int32(),  # of the variance artifact
            "box": BOX,  # image frame
            "hull": BOX,  # image frame
            "suggested_box": BOX,  # image frame; null where no sample has the region
            "support": pa.float64(),
            "uncertainty": pa.float64(),
            "score": pa.float64(),  # in [0, 1], the highest first
        }
    ),
    # error_share: the share of planted errors among suspects of this kind and about this score
    # (dipr1/planting.py); null where none of the kind was among them
    # confirmed: whether it is an error by the corrected labels; null where its image has none
    # label, suggested_label: where labels have several names, that of the label (null for a missing
    # one) and the most frequent other one in the samples (null without any)
    optional=pa.schema(
        [
            *EXIF,
            pa.field("error_share", pa.float64()),
            pa.field("confirmed", pa.bool_()),
            pa.field("label", pa.string()),
            pa.field("suggested_label", pa.string()),
        ]
    ),
)
