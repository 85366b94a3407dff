"""The metrics of images, of their resamples, and the curve beside AP50."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import box_arrays
from dipr1.artifacts.prompts import prompt_rows
from dipr1.artifacts.samples import SAMPLES
from dipr1.evaluation.catalogue import METRICS as CATALOGUE
from dipr1.evaluation.catalogue import Ranking, Whole
from dipr1.evaluation.evaluated import Images
from dipr1.evaluation.measuring import metrics_of, precision_curve, values_of
from dipr1.evaluation.per_image import per_image
from dipr1.metrics import (
    average_precision,
    coco_metrics,
    jaccard_index,
    log_average_miss_rate,
)
from dipr1.prompts import render_response
from tests.unit.experiment import FRAME, annotation, write_predictions

# image frame to model frame
SCALE = np.array([128 / 192, 128 / 144] * 2)


def response(boxes: np.ndarray, label: str = "person") -> str:
    return render_response("Some people.", [], boxes, [label] * len(boxes), digits=6)


def samples(folder: Path, texts: list[str]) -> pa.Table:
    write_predictions(folder / "samples.parquet", texts)
    return SAMPLES.read(folder / "samples.parquet")


def test_ranked_metrics_are_those_of_the_boxes_themselves(tables, images):
    boxes = box_arrays(tables["annotations"]["boxes"])
    ignore = [np.array(row, bool) for row in tables["annotations"]["ignore"].to_pylist()]
    detections = [
        np.empty((0, 5)) if answer is None else np.column_stack([answer, scores])
        for answer, scores in zip(
            box_arrays(tables["samples"]["boxes"]),
            tables["samples"]["confidence"].to_pylist(),
            strict=True,
        )
    ]
    objects = [rows[~flags] for rows, flags in zip(boxes, ignore, strict=True)]
    areas = [rows[flags] for rows, flags in zip(boxes, ignore, strict=True)]
    sizes = np.array([[192, 144]] * len(boxes))
    expected = coco_metrics(detections, objects, areas) | {
        "AP_crowdhuman": average_precision(detections, objects, areas, sizes),
        "MR": log_average_miss_rate(detections, objects, areas, sizes),
        "JI": jaccard_index(detections, objects, areas, sizes),
    }
    assert any(len(rows) for rows in areas)
    values = metrics_of(Images(images))
    ranked = [name for name, metric in CATALOGUE.items() if isinstance(metric, Ranking)]
    assert {name: values[name] for name in ranked} == pytest.approx(expected, abs=1e-12)


def test_a_weight_is_a_repeated_image(images):
    """Every metric, bit for bit up to the order of sums."""
    rng = np.random.default_rng(4)
    weights = np.array([rng.multinomial(len(images), np.full(len(images), 1 / len(images)))] * 2)
    weights[1] = rng.permutation(weights[1])
    names = [name for name, metric in CATALOGUE.items() if not isinstance(metric, Whole)]
    weighted = values_of(Images(images), names, weights)
    for row, resample in enumerate(weights):
        repeated = images.take(np.repeat(np.arange(len(images)), resample))
        np.testing.assert_allclose(
            weighted[:, row],
            values_of(Images(repeated), names)[:, 0],
            rtol=1e-12,
            err_msg=str(names),
        )


def test_weights_of_one_change_nothing(images):
    names = list(CATALOGUE)[:20]
    ones = np.ones((3, len(images)), int)
    expected = np.repeat(values_of(Images(images), names), 3, axis=1)
    np.testing.assert_array_equal(values_of(Images(images), names, ones), expected)


def test_ranked_metrics_of_several_labels_are_means_over_them(tmp_path):
    rows = [
        annotation("0", [[30, 36, 60, 108]]),
        annotation("1", [[75, 36, 105, 108], [120, 36, 150, 108]], label="car"),
    ]
    annotations = pa.Table.from_pylist(rows, ANNOTATIONS.schema)
    prompts = prompt_rows(annotations, ["person", "car"], FRAME)
    texts = [
        response(np.array([[30, 36, 60, 108]]) * SCALE),
        response(np.array([[75, 36, 105, 108]]) * SCALE, "car"),
    ]
    images = Images(per_image(annotations, prompts, samples(tmp_path, texts)))
    values = metrics_of(images)
    # recall 0.5 is reached by the first box, and 51 of the 101 recalls are not above
    car = 51 / 101
    assert values["AP50"] == pytest.approx((1 + car) / 2)
    assert values["AR"] == pytest.approx((1 + 1 / 2) / 2)
    assert values["JI"] == pytest.approx((1 + 1 / 2) / 2)
    assert values["recall50"] == 2 / 3
    curve = precision_curve(images)
    assert curve[[0, 50, 51, 100]].tolist() == [1.0, 1.0, 0.5, 0.5]
    assert curve.mean() == pytest.approx(values["AP50"], abs=1e-15)


def test_the_mean_of_the_precision_curve_is_ap50(images):
    curve, ap50 = precision_curve(Images(images)), metrics_of(Images(images))["AP50"]
    assert curve.shape == (101,)
    assert curve.mean() == pytest.approx(ap50, abs=1e-15)
    assert 0.2 < ap50 < 0.8


def of_answers(tmp_path: Path, *images: tuple[list, list, list]) -> dict[str, float]:
    """The metrics of images, each with boxes answered, people and areas to ignore."""
    rows = [annotation(str(row), *image[1:]) for row, image in enumerate(images)]
    annotations = pa.Table.from_pylist(rows, ANNOTATIONS.schema)
    texts = [response(np.reshape(boxes, (-1, 4)) * SCALE) for boxes, _, _ in images]
    prompts = prompt_rows(annotations, ["person"], FRAME)
    return metrics_of(Images(per_image(annotations, prompts, samples(tmp_path, texts))))


def test_metrics_of_answers_as_they_are_by_hand(tmp_path):
    values = of_answers(
        tmp_path,
        ([[0, 0, 10, 10], [50, 50, 60, 60]], [[0, 0, 10, 10]], []),  # 1 hit, 1 false
        ([], [[0, 0, 10, 10], [20, 0, 30, 10]], []),  # 2 missed
        ([[5, 5, 6, 6]], [], [[0, 0, 9, 9]]),  # 1 ignored
    )
    expected = {"precision50": 1 / 2, "recall50": 1 / 3, "f1_50": 2 / 5, "count_error": 1.0}
    assert {name: values[name] for name in expected} == expected


def test_recall_by_height_and_by_visibility(tmp_path):
    """People of 10, 20 and 40 % of the image's height; of the last it is unknown what is seen."""
    people = [[0, 0, 10, 14.4], [20, 0, 40, 28.8], [100, 0, 130, 57.6]]
    row = annotation("0", people, [[180, 0, 190, 9]]) | {"visibility": [0.9, 0.64, None, 0.1]}
    annotations = pa.Table.from_pylist([row], ANNOTATIONS.schema)
    prompts = prompt_rows(annotations, ["person"], FRAME)
    texts = [response(np.array([people[0], people[2]]) * SCALE)]
    images = per_image(annotations, prompts, samples(tmp_path, texts))
    assert images["object_height"].to_pylist() == [pytest.approx([0.1, 0.2, 0.4])]
    assert images["object_visibility"].to_pylist() == [
        pytest.approx([0.9, 0.64, np.nan], nan_ok=True)
    ]
    assert images["object_found"].to_pylist() == [[True, False, True]]
    values = metrics_of(Images(images))
    by_height = [values[f"recall_{name}"] for name in ("small", "medium", "tall")]
    assert by_height == [1.0, 0.0, 1.0]
    assert (values["recall_hidden"], values["recall_free"]) == (0.0, 1.0)
    assert np.isnan(values["recall_partly"])


def test_metrics_of_an_image_with_nothing_in_it_are_undefined(tmp_path):
    values = of_answers(tmp_path, ([], [], []))
    for name in ("precision50", "recall50", "f1_50", "AP50", "MR", "JI", "look_lift"):
        assert np.isnan(values[name])
    assert values["count_error"] == 0.0
