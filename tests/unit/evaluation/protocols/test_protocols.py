"""The official protocols from files to figures, against plain loops and against pycocotools."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from dipr1.cli import main
from dipr1.errors import UserError
from dipr1.evaluation.coco_ap import SUMMARY
from dipr1.evaluation.protocols import (
    UAVDT_TEST,
    add_protocol_arguments,
    official_figures,
    run_protocol,
)
from dipr1.evaluation.protocols.citypersons_miss_rate import SUBSETS
from tests.unit import plain_evaluators

FRAMES = "M0101", "M0203"


def random_boxes(rng: np.random.Generator, count: int) -> list[list[int]]:
    """[x, y, width, height], whole numbers."""
    corners, sides = rng.integers(0, 250, (count, 2)), rng.integers(8, 120, (count, 2))
    return np.hstack([corners, sides]).tolist()


def detections_of(rng: np.random.Generator, boxes: list) -> list[tuple[list[float], float]]:
    """Two boxes near each, some elsewhere; scores with ties."""
    near = np.array([box for box in boxes for _ in range(2)], float).reshape(-1, 4)
    near += rng.normal(0, 4, near.shape)
    near[:, 2:] = np.maximum(near[:, 2:], 2.0)
    found = [*near.round(2).tolist(), *random_boxes(rng, int(rng.integers(0, 5)))]
    return [(box, int(rng.integers(1, 20)) / 20) for box in found]


def xyxy(box: list[float], *rest: float) -> list[float]:
    x, y, width, height = box
    return [x, y, x + width, y + height, *rest]


def write(path: Path, document: object) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def lines(records: list[dict]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


# --- CrowdHuman -----------------------------------------------------------------------------------


def crowdhuman_files(folder: Path, seed: int, num_images: int = 20) -> tuple[str, str, list]:
    rng = np.random.default_rng(seed)
    truth, answers, plain = [], [], []
    for number in range(num_images):
        people = random_boxes(rng, int(rng.integers(0, 8)))
        areas = random_boxes(rng, int(rng.integers(0, 3)))
        found = detections_of(rng, people)
        gtboxes = [{"tag": "person", "fbox": box, "extra": {"occ": 0}} for box in people]
        for kind, box in enumerate(areas):
            tag = ("mask", "person")[kind % 2]
            gtboxes.insert(0, {"tag": tag, "extra": {"ignore": 1}, "fbox": box})
        truth.append({"ID": f"{number},a", "gtboxes": gtboxes})
        boxes = [{"box": box, "score": score, "tag": 1} for box, score in found]
        answers.append({"ID": f"{number},a", "height": 300, "width": 280, "dtboxes": boxes})
        plain.append(
            (
                [xyxy(box, score) for box, score in found],
                [xyxy(box) for box in people],
                [xyxy(box) for box in areas],
                (280, 300),
            )
        )
    order = rng.permutation(num_images)
    return (
        write(folder / "gt.odgt", lines(truth)),
        write(folder / "dt.odgt", lines([answers[row] for row in order])),
        [list(part) for part in zip(*plain, strict=True)],
    )


@pytest.mark.parametrize("seed", range(3))
def test_crowdhuman_equals_plain_loops(tmp_path, seed):
    pytest.importorskip("networkx", reason="the plain loops match with networkx")
    truth, answers, plain = crowdhuman_files(tmp_path, seed)
    values = official_figures("crowdhuman", truth, answers)
    expected = plain_evaluators.crowdhuman_ap_mr(*plain)
    assert list(values) == ["AP", "MR", "JI"]
    assert values["AP"] == pytest.approx(expected[0], abs=1e-12)
    assert values["MR"] == pytest.approx(expected[1], abs=1e-12)
    assert values["JI"] == pytest.approx(plain_evaluators.crowdhuman_ji(*plain), abs=1e-12)


def test_crowdhuman_images_without_a_record_are_images_without_detections(tmp_path, capsys):
    truth, answers, plain = crowdhuman_files(tmp_path, 7)
    plain[0][0] = []
    kept = [line for line in Path(answers).read_text().splitlines() if '"0,a"' not in line]
    answers = write(tmp_path / "fewer.odgt", "\n".join(kept) + "\n\n")
    values = official_figures("crowdhuman", truth, answers)
    assert values["MR"] == pytest.approx(plain_evaluators.crowdhuman_ap_mr(*plain)[1], abs=1e-12)
    assert "1 of 20 images have no record" in capsys.readouterr().err


GOOD_PERSON = {"tag": "person", "fbox": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"ID": "a", ', "line 2: not JSON"),
        ('["a"]', "line 2: expected an object with a text `ID`"),
        ('{"ID": 3, "dtboxes": []}', "line 2: expected an object with a text `ID`"),
        ('{"ID": "b"}', "a list `dtboxes`"),
        ('{"ID": "a", "dtboxes": [], "width": 9, "height": 9}', "image 'a' is there already"),
        ('{"ID": "c", "dtboxes": [], "width": 9, "height": 9}', "image 'c' is not in"),
        ('{"ID": "b", "dtboxes": [], "width": 9}', "line 2: `height`: expected a finite number"),
        ('{"ID": "b", "dtboxes": [], "width": 9, "height": "x"}', "but got x"),
        (
            '{"ID": "b", "width": 9, "height": 9, "dtboxes":'
            ' [{"box": [1, 2, 3, 4], "score": 0.5}, {"box": [1, 2, 3], "score": 0.5}]}',
            "line 2, box 2: `box`: expected 4 finite numbers, but got [1, 2, 3]",
        ),
        (
            '{"ID": "b", "width": 9, "height": 9, "dtboxes": [{"box": [1, 2, 3, 4]}]}',
            "line 2, box 1: `score`: expected a finite number, but there is none",
        ),
        ('{"ID": "b", "width": 9, "height": 9, "dtboxes": [7]}', "but the record is 7"),
    ],
)
def test_crowdhuman_names_the_bad_line(tmp_path, line, message):
    records = [{"ID": name, "gtboxes": [GOOD_PERSON]} for name in ("a", "b")]
    truth = write(tmp_path / "gt.odgt", lines(records))
    good = {"ID": "a", "width": 9, "height": 9, "dtboxes": []}
    answers = write(tmp_path / "dt.odgt", json.dumps(good) + "\n" + line)
    with pytest.raises(UserError, match="dt.odgt") as error:
        official_figures("crowdhuman", truth, answers)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# --- COCO -----------------------------------------------------------------------------------------


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


def test_results_that_are_no_list_are_named(tmp_path):
    truth, _ = coco_documents(6)
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", {"annotations": []})
    with pytest.raises(UserError, match="expected a list of detections"):
        official_figures("coco", *paths)


# --- CityPersons ----------------------------------------------------------------------------------


def citypersons_files(folder: Path, seed: int, certain_error: bool) -> tuple[str, str, list, list]:
    rng = np.random.default_rng(seed)
    annotations, results, people, detections = [], [], [], []
    for image_id in range(1, 41):
        plain = []
        for box in random_boxes(rng, int(rng.integers(0, 7))):
            visibility, ignored = round(float(rng.uniform(0, 1)), 3), bool(rng.random() < 0.1)
            row = {"image_id": image_id, "category_id": 1, "bbox": box, "height": box[3]}
            annotations.append(row | {"vis_ratio": visibility, "ignore": int(ignored)})
            plain.append((xyxy(box), visibility, ignored))
        # whole coordinates: the plain loops take the height from the corners
        found = [
            ([round(side) for side in box], score)
            for box, score in detections_of(rng, [row["bbox"] for row in annotations[-3:]])
        ]
        if certain_error and image_id == 3:
            found.append(([2000, 0, 40, 80], 1.5))
        results += [
            {"image_id": image_id, "category_id": 1, "bbox": box, "score": score}
            for box, score in found
        ]
        people.append(plain)
        detections.append([xyxy(box, score) for box, score in found])
    truth = {"images": [{"id": k} for k in range(1, 41)], "annotations": annotations}
    paths = write(folder / "gt.json", truth), write(folder / "dt.json", results)
    return *paths, detections, people


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("wrap_fault", [False, True])
def test_citypersons_equals_plain_loops(tmp_path, seed, wrap_fault):
    *paths, detections, people = citypersons_files(tmp_path, seed, certain_error=True)
    values = official_figures("citypersons", *paths, wrap_fault=wrap_fault)
    assert list(values) == ["Reasonable", "Reasonable_small", "Reasonable_occ=heavy", "All"]
    for name, subset in SUBSETS.items():
        expected = plain_evaluators.citypersons_miss_rate(
            detections, people, subset.heights, subset.visibilities, wrap_fault
        )
        assert values[name] == pytest.approx(expected, abs=1e-9)


def test_citypersons_fault_flatters_a_certain_error(tmp_path):
    *paths, _, _ = citypersons_files(tmp_path, 0, certain_error=True)
    right = official_figures("citypersons", *paths)
    wrapped = official_figures("citypersons", *paths, wrap_fault=True)
    assert wrapped["Reasonable"] < right["Reasonable"]


def test_citypersons_takes_heights_as_written(tmp_path):
    """24.04 + 40.0 - 24.04 is less than 40, the least height of a detection."""
    person = {"image_id": 1, "category_id": 1, "bbox": [0, 24.04, 20, 50.0], "height": 50}
    truth = {"images": [{"id": 1}], "annotations": [person | {"vis_ratio": 1.0}]}
    found = {"image_id": 1, "category_id": 1, "bbox": [0, 24.04, 20, 40.0], "score": 0.5}
    assert 24.04 + 40.0 - 24.04 < 40.0
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", [found])
    assert official_figures("citypersons", *paths)["Reasonable"] == 0.0


# --- WIDER ----------------------------------------------------------------------------------------


def wider_files(folder: Path, seed: int, year: int) -> tuple[str, str, tuple[dict, dict, dict]]:
    rng = np.random.default_rng(seed)
    truth, ignored, answers = [], [], []
    plain: tuple[dict, dict, dict] = ({}, {}, {})
    for number in rng.permutation(25):
        name = f"img{number:05}.jpg"
        people = random_boxes(rng, int(rng.integers(0, 7)))
        areas = random_boxes(rng, int(rng.integers(0, 3)))
        found = detections_of(rng, people)
        words = [[int(rng.integers(1, 3)), *box] if year == 2018 else box for box in people]
        truth.append(" ".join(map(str, [name, *sum(words, [])])))
        if areas:
            ignored.append(" ".join(map(str, [name, *sum(areas, [])])))
        answers += [f"{name} {score} {' '.join(map(str, box))}" for box, score in found]
        plain[0][name] = [xyxy(box, score) for box, score in found]
        plain[1][name] = [xyxy(box) for box in people]
        plain[2][name] = [xyxy(box) for box in areas]
    names = {
        2018: ("val_annotations.txt", "pedestrian_ignore_part_val.txt"),
        2019: ("val_bbox.txt", "val_ignore.txt"),
    }[year]
    write(folder / names[1], "\n".join([*ignored, "train00000.jpg 1 2 3 4"]))
    write(folder / "train_ignore.txt", "img00000.jpg 0 0 999 999")
    return (
        write(folder / names[0], "\n".join(truth)),
        write(folder / "answers.txt", "\n".join(answers) + "\n"),
        plain,
    )


@pytest.mark.parametrize("year", [2018, 2019])
@pytest.mark.parametrize("seed", range(3))
def test_wider_equals_plain_loops(tmp_path, seed, year):
    truth, answers, plain = wider_files(tmp_path, seed, year)
    values = official_figures("wider", truth, answers)
    assert list(values) == ["Average AP"]
    expected = plain_evaluators.wider_map(*plain, year)
    assert 0.1 < expected < 0.9
    assert values["Average AP"] == pytest.approx(expected, abs=1e-12)


def test_wider_reads_json_and_a_named_ignore_file(tmp_path):
    truth, answers, _ = wider_files(tmp_path, 4, 2019)
    records = []
    for line in Path(answers).read_text().splitlines():
        name, score, *box = line.split()
        records.append(
            {"image_id": name, "score": float(score), "bbox": [float(side) for side in box]}
        )
    as_json = write(tmp_path / "answers.json", records)
    assert official_figures("wider", truth, as_json) == official_figures("wider", truth, answers)
    none = official_figures("wider", truth, answers, ignore=write(tmp_path / "none.txt", ""))
    assert none != official_figures("wider", truth, answers)


def test_wider_says_that_there_is_no_ignore_file(tmp_path, capsys):
    truth, answers = write(tmp_path / "gt.txt", "a.jpg 0 0 9 9"), write(tmp_path / "dt", "")
    assert official_figures("wider", truth, answers) == {"Average AP": 0.0}
    assert "give one with --ignore" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("truth", "answers", "message"),
    [
        ("a.jpg 1 2 3", "", "expected a name and, per box"),
        ("a.jpg 1 2 3 4\na.jpg 1 2 3 4", "", "line 2: image 'a.jpg' is there already (line 1)"),
        ("a.jpg 1 2 3 4", "b.jpg 0.5 1 2 3 4", "line 1: image 'b.jpg' is not in"),
        ("a.jpg 1 2 3 4", "\na.jpg 0.5 1 2 3", "line 2: expected name, score, x, y, width"),
        ("a.jpg 1 2 3 4", "a.jpg 0.5 1 2 3 nan", "line 1: expected a name and numbers"),
        ("a.jpg 1 2 3 four", "", "line 1: expected a name and numbers: a.jpg 1 2 3 four"),
    ],
)
def test_wider_names_the_bad_line(tmp_path, truth, answers, message):
    paths = write(tmp_path / "gt.txt", truth), write(tmp_path / "dt.txt", answers)
    with pytest.raises(UserError) as error:
        official_figures("wider", *paths)
    assert message in str(error.value)


# --- UAVDT ----------------------------------------------------------------------------------------


def uavdt_folders(folder: Path, seed: int, comma: str) -> tuple[str, str, tuple]:
    rng = np.random.default_rng(seed)
    plain: tuple[dict, dict, dict] = ({}, {}, {})
    for sequence in FRAMES:
        rows: tuple[list, list, list] = ([], [], [])
        for frame in rng.permutation(15) + 1:
            vehicles = random_boxes(rng, int(rng.integers(0, 6)))
            areas = random_boxes(rng, int(rng.integers(0, 3)))
            found = detections_of(rng, vehicles)
            key = (sequence, int(frame))
            plain[0][key] = [xyxy(box, score) for box, score in found]
            plain[1][key] = [xyxy(box) for box in vehicles]
            plain[2][key] = [xyxy(box) for box in areas]
            rows[0].extend([frame, -1, *box, score, 1, -1] for box, score in found)
            rows[1].extend([frame, 1, *box, 1, 1, 2] for box in vehicles)
            rows[2].extend([frame, 1, *box, 1, -1, -1] for box in areas)
        for name, part in zip((".txt", "_gt_whole.txt", "_gt_ignore.txt"), rows, strict=True):
            place = folder / ("dt" if name == ".txt" else "gt")
            place.mkdir(exist_ok=True)
            text = "\n".join(comma.join(map(str, row)) for row in part)
            write(place / f"{sequence}{name}", text)
    return str(folder / "gt"), str(folder / "dt"), plain


@pytest.mark.parametrize(("seed", "comma"), [(0, ","), (1, ", "), (2, " ")])
def test_uavdt_equals_plain_loops(tmp_path, seed, comma):
    truth, answers, plain = uavdt_folders(tmp_path, seed, comma)
    expected = plain_evaluators.uavdt_ap(*plain)
    assert 5 < expected < 95
    values = official_figures("uavdt", truth, answers)
    assert values == {"AP_overall": pytest.approx(expected, abs=1e-9)}


def test_uavdt_reads_gt_where_gt_whole_is_missing(tmp_path):
    truth, answers, _ = uavdt_folders(tmp_path, 3, ",")
    before = official_figures("uavdt", truth, answers)
    for name in FRAMES:
        (Path(truth) / f"{name}_gt_whole.txt").rename(Path(truth) / f"{name}_gt.txt")
    assert official_figures("uavdt", truth, answers) == before


def test_uavdt_wants_all_sequences_of_the_test_set(tmp_path):
    truth, answers, _ = uavdt_folders(tmp_path, 3, ",")
    assert FRAMES[1] in UAVDT_TEST
    (Path(answers) / f"{FRAMES[1]}.txt").unlink()
    with pytest.raises(UserError, match=r"M0203.txt is missing \(1 such"):
        official_figures("uavdt", truth, answers)
    write(Path(answers) / f"{FRAMES[1]}.txt", "")
    assert official_figures("uavdt", truth, answers)["AP_overall"] > 0
    write(Path(answers) / "M9999.txt", "")
    with pytest.raises(UserError, match="has no M9999_gt_whole.txt"):
        official_figures("uavdt", truth, answers)


def test_uavdt_names_the_bad_line(tmp_path):
    truth, answers, _ = uavdt_folders(tmp_path, 3, ",")
    path = Path(answers) / f"{FRAMES[0]}.txt"
    path.write_text("1,-1,5,5,9,9,0.5\n\n1,-1,5,5,9,9\n")
    with pytest.raises(UserError, match="M0101.txt: line 3: expected 7 numbers: 1,-1,5,5,9,9"):
        official_figures("uavdt", truth, answers)


@pytest.mark.parametrize("missing", ["gt", "dt"])
def test_uavdt_empty_folders(tmp_path, missing):
    uavdt_folders(tmp_path, 3, ",")
    for file in (tmp_path / missing).iterdir():
        file.unlink()
    with pytest.raises(UserError, match=f"{missing}: no file like M0203"):
        official_figures("uavdt", str(tmp_path / "gt"), str(tmp_path / "dt"))


# --- nothing to find, nothing found ---------------------------------------------------------------


def empty_files(folder: Path, protocol: str, with_truth: bool) -> tuple[str, str]:
    """One image, one object or none, no detection."""
    if protocol == "uavdt":
        (folder / "gt").mkdir()
        (folder / "dt").mkdir()
        write(folder / "dt" / "M0101.txt", "")
        write(folder / "gt" / "M0101_gt_whole.txt", "1,1,0,0,9,90,1,1,1\n" if with_truth else "")
        return str(folder / "gt"), str(folder / "dt")
    person = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 90], "height": 90}
    document: object = {
        "images": [{"id": 1}],
        "annotations": [person | {"vis_ratio": 1}] if with_truth else [],
        "categories": [{"id": 1}],
    }
    answers: object = []
    if protocol == "crowdhuman":
        people = [GOOD_PERSON] if with_truth else []
        document, answers = lines([{"ID": "a", "gtboxes": people}]), ""
    elif protocol == "wider":
        document, answers = "a.jpg 1 0 0 9 90" if with_truth else "a.jpg", ""
    return write(folder / "truth", document), write(folder / "answers", answers)


NOTHING_FOUND = {
    "crowdhuman": [0.0, 1.0, 0.0],
    "citypersons": [100.0, None, None, 100.0],
    "coco": [0.0, 0.0, 0.0, -1.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0, -1.0],
    "wider": [0.0],
    "uavdt": [0.0],
}


def run(*words: str) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--output")
    add_protocol_arguments(parser)
    run_protocol(parser.parse_args(words))


@pytest.mark.parametrize("protocol", NOTHING_FOUND)
def test_nothing_found(tmp_path, capsys, protocol):
    truth, answers = empty_files(tmp_path, protocol, with_truth=True)
    words = ["--protocol", protocol, "--ground-truth", truth, "--detections", answers]
    run(*words, "--json")
    assert list(json.loads(capsys.readouterr().out).values()) == NOTHING_FOUND[protocol]


@pytest.mark.parametrize("protocol", NOTHING_FOUND)
def test_nothing_to_find(tmp_path, capsys, protocol):
    truth, answers = empty_files(tmp_path, protocol, with_truth=False)
    words = ["--protocol", protocol, "--ground-truth", truth, "--detections", answers]
    run(*words, "--json")
    values = json.loads(capsys.readouterr().out).values()
    assert set(values) == {-1.0 if protocol == "coco" else None}
    run(*words)
    assert len(capsys.readouterr().out.splitlines()) == len(values)


# --- the command ----------------------------------------------------------------------------------


def test_lines_and_file(tmp_path, capsys):
    *paths, _, _ = citypersons_files(tmp_path, 1, certain_error=False)
    output = tmp_path / "new" / "figures.json"
    words = ["--protocol", "citypersons", "--ground-truth", paths[0], "--detections", paths[1]]
    run(*words, "--output", str(output))
    values = json.loads(output.read_text())
    assert capsys.readouterr().out.splitlines() == [
        f"Reasonable            {values['Reasonable']:6.2f}%",
        f"Reasonable_small      {values['Reasonable_small']:6.2f}%",
        f"Reasonable_occ=heavy  {values['Reasonable_occ=heavy']:6.2f}%",
        f"All                   {values['All']:6.2f}%",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ground-truth", "gt"], "--detections is missing"),
        (["--detections", "dt"], "--ground-truth is missing"),
        (["--ground-truth", "gt", "--detections", "dt", "--wrap-fault"], "only for"),
        (["--ground-truth", "gt", "--detections", "dt", "--ignore", "x"], "only for"),
        (["--ground-truth", "gt", "--detections", "dt"], "gt: no such file"),
    ],
)
def test_wrong_flags(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        run("--protocol", "coco", *words)


def test_the_command_prints_the_figures(tmp_path, capsys):
    truth, answers, _ = wider_files(tmp_path, 0, 2019)
    words = ["evaluate", "--protocol", "wider", "--ground-truth", truth, "--detections", answers]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == official_figures("wider", truth, answers)
    assert main([*words[:-1], str(tmp_path / "nothing.txt")]) == 1
    assert capsys.readouterr().err.endswith("nothing.txt: no such file\n")
