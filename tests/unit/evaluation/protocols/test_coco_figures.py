"""COCO's figures from files, against pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
import math

import numpy as np
import pytest

from dipr1.errors import UserError
from dipr1.evaluation.coco_ap import SUMMARY
from dipr1.evaluation.protocols import official_figures
from tests.unit.evaluation.protocols.benchmark_files import (
    detections_of,
    random_boxes,
    write,
)


def coco_documents(seed: int, num_images: int = 25) -> tuple[dict, list]:
    """Three categories, crowds, equal scores, areas of their own, an image with 130 boxes."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image_id in rng.permutation(num_images) + 1:
        for category in (1, 3, 7):
            boxes = random_boxes(rng, int(rng.integers(0, 7)))
            for box in boxes:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": int(image_id),
                        "category_id": category,
                        "bbox": box,
                        "area": box[2] * box[3] * float(rng.uniform(0.3, 1.0)),
                        "iscrowd": int(rng.random() < 0.15),
                    }
                )
            found = detections_of(rng, boxes)
            if image_id == 1:
                found += detections_of(rng, random_boxes(rng, 65))
            for box, score in found:
                results.append(
                    {
                        "image_id": int(image_id),
                        "category_id": category,
                        "bbox": box,
                        "score": score,
                    }
                )
    images = [{"id": image_id + 1} for image_id in range(num_images)]
    categories = [{"id": category} for category in (7, 1, 3, 9)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def pycocotools_summary(truth: str, results: str) -> list[float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        targets = COCO(truth)
        evaluator = COCOeval(targets, targets.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_coco_equals_pycocotools(tmp_path, seed):
    truth, results = coco_documents(seed)
    truth["info"] = {}
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", results)
    values = official_figures("coco", *paths)
    assert list(values) == list(SUMMARY)
    assert list(values.values()) == pytest.approx(pycocotools_summary(*paths), abs=1e-12)


def test_coco_is_minus_one_where_nothing_of_a_size_is_to_be_found(tmp_path):
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "area": 2500.0}
    truth = {"images": [{"id": 1}], "annotations": [box | {"iscrowd": 0}], "info": {}}
    truth["categories"] = [{"id": 1}]
    results = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 48], "score": 0.5}]
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", results)
    values = official_figures("coco", *paths)
    assert values["APs"] == values["ARl"] == -1.0
    assert list(values.values()) == pytest.approx(pycocotools_summary(*paths), abs=1e-12)


def test_coco_does_with_what_a_file_leaves_out(tmp_path):
    """No area, no iscrowd, no ids of annotations, no categories; ids that are texts or 0."""
    truth, results = coco_documents(5)
    full = official_figures(
        "coco",
        write(
            tmp_path / "gt.json",
            truth
            | {
                "annotations": [
                    row | {"area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}
                    for row in truth["annotations"]
                ]
            },
        ),
        write(tmp_path / "dt.json", results),
    )
    bare = [
        {"image_id": f"{row['image_id'] - 1:03}", "category_id": row["category_id"] - 1}
        | {"bbox": row["bbox"]}
        for row in truth["annotations"]
    ]
    images = [{"id": f"{row['id'] - 1:03}"} for row in truth["images"]]
    found = [
        row | {"image_id": f"{row['image_id'] - 1:03}", "category_id": row["category_id"] - 1}
        for row in results
    ]
    assert full == pytest.approx(
        official_figures(
            "coco",
            write(tmp_path / "bare.json", {"images": images, "annotations": bare}),
            write(tmp_path / "found.json", found),
        ),
        abs=1e-12,
    )


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"image_id": 99}, "record 2: image 99 is not in"),
        (
            {"image_id": None},
            "record 2: `image_id`: expected a whole number or a text, but got null",
        ),
        ({"image_id": True}, "record 2: `image_id`: expected a whole number or a text"),
        ({"bbox": [1, 2, 3]}, "record 2: `bbox`: expected 4 finite numbers, but got [1, 2, 3]"),
        ({"bbox": [1, 2, 3, float("nan")]}, "record 2"),
        ({"score": "high"}, "record 2: `score`: expected a finite number, but got high"),
        ({"score": None}, "record 2: `score`"),
    ],
)
def test_coco_names_the_bad_record(tmp_path, record, message):
    truth, results = coco_documents(6)
    paths = (
        write(tmp_path / "gt.json", truth),
        write(tmp_path / "dt.json", [results[0], results[1] | record, *results[2:]]),
    )
    with pytest.raises(UserError, match="dt.json") as error:
        official_figures("coco", *paths)
    assert message in str(error.value) or "not JSON" in str(error.value)


@pytest.mark.parametrize("document", ["{", "[1, 2]", '{"images": []}', '"text"'])
@pytest.mark.parametrize("protocol", ["coco", "citypersons"])
def test_ground_truth_that_is_none_is_named(tmp_path, protocol, document):
    truth, results = write(tmp_path / "gt.json", document), write(tmp_path / "dt.json", [])
    with pytest.raises(UserError, match="gt.json"):
        official_figures(protocol, truth, results)


@pytest.mark.parametrize("area", ["large", None, [1]])
def test_coco_names_a_bad_area(tmp_path, area):
    truth, results = coco_documents(6)
    truth["annotations"][2]["area"] = area
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", results)
    with pytest.raises(UserError, match="gt.json: annotation 3: `area`: expected a finite number"):
        official_figures("coco", *paths)


def test_coco_reads_what_is_not_plain_json_alike(tmp_path):
    """A mark of the byte order, a whole number of 31 digits, a NaN that nobody reads."""
    truth, results = coco_documents(3)
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", results)
    plain = official_figures("coco", *paths)
    (tmp_path / "gt.json").write_text("\ufeff" + json.dumps(truth), encoding="utf-8")
    write(tmp_path / "dt.json", [row | {"id": 10**30, "extra": math.nan} for row in results])
    assert official_figures("coco", *paths) == plain


@pytest.mark.parametrize("bbox", [[1, 2, 3, 1e200], [1, 2, 3], [1, 2, 3, "wide"]])
def test_coco_names_a_bad_box_of_the_ground_truth(tmp_path, bbox):
    truth, results = coco_documents(6)
    truth["annotations"][2]["bbox"] = bbox
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", results)
    with pytest.raises(UserError, match="gt.json: annotation 3: `bbox`: expected 4 finite numbers"):
        official_figures("coco", *paths)


def test_results_that_are_no_list_are_named(tmp_path):
    truth, _ = coco_documents(6)
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", {"annotations": []})
    with pytest.raises(UserError, match="expected a list of detections"):
        official_figures("coco", *paths)


def test_coco_takes_the_ids_that_pycocotools_takes(tmp_path):
    """Whole numbers with a point, and annotations of images that are not listed."""
    truth, results = coco_documents(2)
    truth |= {"info": {}}
    truth["annotations"].append(truth["annotations"][0] | {"id": 9999, "image_id": 77})
    found = [
        row | {"image_id": float(row["image_id"]), "category_id": float(row["category_id"])}
        for row in results
    ]
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", found)
    values = official_figures("coco", *paths)
    assert list(values.values()) == pytest.approx(pycocotools_summary(*paths), abs=1e-12)


def test_results_of_other_categories_are_told(tmp_path, capsys):
    truth, results = coco_documents(2)
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", results)
    known = official_figures("coco", *paths)
    assert "category_id" not in capsys.readouterr().out
    write(tmp_path / "dt.json", [*results, results[0] | {"category_id": 90}])
    assert official_figures("coco", *paths) == known
    said = "1 records do not count: `category_id` is 90, where "
    assert said in "".join(capsys.readouterr())


@pytest.mark.parametrize("protocol", ["coco", "citypersons"])
def test_results_of_no_known_category_are_refused(tmp_path, protocol):
    truth, results = coco_documents(2)
    paths = (
        write(tmp_path / "gt.json", truth),
        write(tmp_path / "dt.json", [row | {"category_id": 0} for row in results]),
    )
    with pytest.raises(UserError, match="dt.json: `category_id` is 0, where .* has "):
        official_figures(protocol, *paths)
