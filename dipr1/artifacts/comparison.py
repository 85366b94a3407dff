"""Every metric of every arm with its interval, and the differences to the baselines."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact

COMPARISON = Artifact(
    "comparison",
    pa.schema(
        {
            "set": pa.string(),
            "in_domain": pa.bool_(),  # null where it is not known what was trained on
            "arm": pa.string(),
            "metric": pa.string(),
            "score": pa.string(),  # what ranked the boxes; null for metrics that do not rank
            "value": pa.float64(),  # mean over the seeds; null where undefined
            "low": pa.float64(),
            "high": pa.float64(),
            "num_seeds": pa.int32(),
            "num_images": pa.int32(),
            # null: the row is about the arm alone; else about the seeds that both arms have
            "baseline": pa.string(),
            "difference": pa.float64(),  # value - the baseline's
            "difference_low": pa.float64(),
            "difference_high": pa.float64(),
            "p": pa.float64(),  # two-sided, of the difference
        }
    ),
)
