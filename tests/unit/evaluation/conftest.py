"""A made-up experiment with ignore areas, misses and broken answers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts import artifact_named
from dipr1.artifacts.samples import SAMPLES
from dipr1.evaluation.per_image import per_image
from tests.unit.experiment import make_experiment


@pytest.fixture(scope="session")
def tables(tmp_path_factory) -> dict[str, pa.Table]:
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, arms=("base",), num_images=25)
    where = folder / "results"
    paths = {
        "annotations": "annotations/crowdscenes/validation.parquet",
        "prompts": "prompts/crowdscenes/validation.parquet",
        "variance": "variance/crowdscenes/validation.parquet",
        "samples": "predictions/base/seed0/crowdscenes.validation.parquet",
    }
    found = {name: artifact_named(name).read(where / path) for name, path in paths.items()}
    # scores that are often equal, within an image and between images
    confidence = pa.array(
        [
            None if row is None else np.round(row, 1)
            for row in found["samples"]["confidence"].to_pylist()
        ],
        SAMPLES.schema.field("confidence").type,
    )
    at = SAMPLES.schema.get_field_index("confidence")
    found["samples"] = found["samples"].set_column(at, "confidence", confidence)
    return found


@pytest.fixture(scope="session")
def images(tables) -> pa.Table:
    return per_image(
        tables["annotations"], tables["prompts"], tables["samples"], tables["variance"]
    )
