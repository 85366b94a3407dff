"""What is kept of each image."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.prompts import prompt_rows
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.evaluation.evaluated import Images
from dipr1.evaluation.measuring import metrics_of
from dipr1.evaluation.per_image import per_image
from dipr1.prompts import render_response
from dipr1.responses import _remembered
from dipr1.rewards import REWARDS
from tests.unit.experiment import FRAME, annotation, write_predictions


def test_rewards_are_those_of_training(tables, images):
    columns = reward_columns(tables["prompts"], tables["variance"])
    texts = tables["samples"]["text"].to_pylist()
    for name, reward in REWARDS.items():
        assert images[f"reward_{name}"].to_pylist() == reward.make()(texts, **columns)


def test_rewards_of_regions_are_null_without_statistics(tables):
    three = (tables[name] for name in ("annotations", "prompts", "samples"))
    images = per_image(*three)
    assert images["reward_looking"].null_count == images.num_rows
    assert images["reward_accuracy"].null_count == 0


def test_images_without_statistics_count_in_no_figure_of_regions(tables):
    there = pa.compute.not_equal(tables["variance"]["image_id"], "0")
    row = pa.Table.from_pylist([{"image_id": "0", "num_samples": 1}], VARIANCE.schema)
    few = pa.concat_tables([tables["variance"].filter(there), row])
    three = (tables[name] for name in ("annotations", "prompts", "samples"))
    first, second = per_image(*three, few).to_pylist()[:2]
    assert first["reward_looking"] is first["look_recall"] is None
    assert first["region_uncertainty"] == first["region_erred"] == []
    assert None not in (first["reward_accuracy"], second["reward_looking"])


def test_no_images_at_all():
    empty = ANNOTATIONS.schema.empty_table()
    prompts = prompt_rows(empty, ["person"], FRAME)
    values = metrics_of(Images(per_image(empty, prompts, SAMPLES.schema.empty_table())))
    assert (values["num_images"], values["num_objects"]) == (0.0, 0.0)
    assert np.isnan(values["AP"])


def test_every_text_is_parsed_once(tmp_path):
    """Several rewards read each text, and the parser remembers the last 1,024 only."""
    num = 1100
    annotations = pa.Table.from_pylist(
        [annotation(str(k), []) for k in range(num)], ANNOTATIONS.schema
    )
    prompts = prompt_rows(annotations, ["person"], FRAME)
    write_predictions(tmp_path / "samples.parquet", [f"<think> {k} </think>" for k in range(num)])
    predictions = SAMPLES.read(tmp_path / "samples.parquet")
    _remembered.cache_clear()
    per_image(annotations, prompts, predictions, VARIANCE.schema.empty_table())
    assert _remembered.cache_info().misses == num


def test_answers_in_another_frame_are_counted(tmp_path):
    """Of four answers with boxes one has shares of the image, and one numbers far beyond it."""
    boxes = [[[0.1, 0.2, 0.5, 1]], [[9, 9, 900, 900]], [[9, 9, 50, 60]], [[0, 0, 1, 9]], []]
    texts = [render_response("a", [], row, ["person"] * len(row), digits=1) for row in boxes]
    table = pa.Table.from_pylist([annotation(str(k), []) for k in range(5)], ANNOTATIONS.schema)
    write_predictions(tmp_path / "samples.parquet", texts)
    predictions = SAMPLES.read(tmp_path / "samples.parquet")
    images = per_image(table, prompt_rows(table, ["person"], FRAME), predictions)
    values = metrics_of(Images(images))
    assert (values["unit_square_rate"], values["outside_frame_rate"]) == (0.25, 0.25)
