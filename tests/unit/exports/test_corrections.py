"""Suspects go to the tools in which people correct labels, and the corrections come back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.audit import AUDIT
from dipr1.artifacts.made import Made
from dipr1.cli import main
from dipr1.exports.suspects import Shown, Task, doubt

WRONG, LOOSE, RIGHT = [10, 10, 30, 50], [50, 10, 70, 60], [80.5, 12.25, 99, 40]
MISSING = [31.5, 5, 44, 48]


@pytest.fixture
def folder(tmp_path) -> Path:
    """COCO labels of three images, the annotations made of them and an audit."""
    images = [
        {"id": number, "file_name": f"{name}.jpg", "width": 100, "height": 64}
        for number, name in enumerate("abc", 1)
    ]
    boxes = [(1, WRONG), (1, LOOSE), (1, RIGHT), (2, RIGHT), (3, LOOSE)]
    labels = [
        {"id": k, "image_id": image, "category_id": 1, "iscrowd": 0,
         "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for k, (image, (x1, y1, x2, y2)) in enumerate(boxes, 1)
    ]  # fmt: skip
    labels.append({"id": 9, "image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": [0, 0, 9, 9]})
    document = {
        "images": images,
        "annotations": labels,
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(document))
    convert(tmp_path, "before")
    about = {"hull": RIGHT, "support": 0.0, "uncertainty": 0.5, "region": 0}
    suspects = [
        ("1", "unsupported_label", WRONG, None, 0.9, 0.75),
        ("1", "missing_label", MISSING, MISSING, 0.8, 0.5),
        ("2", "uncertain", RIGHT, None, 0.5, 0.1),
        ("3", "loose_label", LOOSE, RIGHT, 0.4, 0.25),
    ]
    rows = [
        about | {"rank": rank, "image_id": image, "image": f"{image}.jpg", "kind": kind, "box": box,
                 "suggested_box": suggested, "score": score, "error_share": share}
        for rank, (image, kind, box, suggested, score, share) in enumerate(suspects)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, AUDIT.schema_with(["error_share"]))
    AUDIT.write(table, tmp_path / "audit.parquet", Made())
    return tmp_path


def convert(folder: Path, name: str, *flags: str) -> list[dict]:
    output = folder / f"{name}.parquet"
    command = ["convert", "--format", "coco", "--annotations", str(folder / "labels.json"), *flags]
    assert main([*command, "--output", str(output)]) == 0
    return ANNOTATIONS.read(output).to_pylist()


def export(folder: Path, name: str, *flags: str) -> Path:
    output = folder / ("tasks.xml" if name == "cvat" else "tasks.json")
    command = ["export", str(folder / "audit.parquet"), "--format", name, "--output", str(output)]
    assert main([*command, "--annotations", str(folder / "before.parquet"), *flags]) == 0
    return output


def submitted(path: Path) -> list[dict]:
    """The tasks as Label Studio exports them when all predictions were submitted unchanged."""
    tasks = json.loads(path.read_text())
    return [
        {"id": number, "data": task["data"],
         "annotations": [{"was_cancelled": False, "result": task["predictions"][0]["result"]}]}
        for number, task in enumerate(tasks, 1)
    ]  # fmt: skip


def objects(row: dict) -> list[list[float]]:
    return [box for box, ignored in zip(row["boxes"], row["ignore"], strict=True) if not ignored]


def test_what_nobody_changed_comes_back_as_it_was(folder, capsys):
    before = convert(folder, "again")
    xml, tasks = export(folder, "cvat"), export(folder, "labelstudio")
    tasks.write_text(json.dumps(submitted(tasks)))
    for path in (xml, tasks):
        after = convert(folder, "after", "--corrections", str(path))
        said = capsys.readouterr().err
        assert "2 images corrected, 4 boxes; 1 suggested boxes that nobody took" in said
        for old, new in zip(before, after, strict=True):
            assert {*map(tuple, old["boxes"])} == {*map(tuple, new["boxes"])}
            assert sum(old["ignore"]) == sum(new["ignore"])


def test_what_the_model_calls_it_is_told():
    task = Task("1", "a.jpg", 100, 64, [Shown(WRONG, "van"), Shown(RIGHT, "car")])
    names = ["car", "van"]
    swapped = {"kind": "swapped_label", "box": WRONG, "suggested_box": WRONG, "score": 0.5}
    doubt(task, swapped | {"label": "van", "suggested_label": "car"}, names)
    missing = {"kind": "missing_label", "box": MISSING, "suggested_box": MISSING, "score": 0.4}
    doubt(task, missing | {"label": None, "suggested_label": "van"}, names)
    assert task.boxes == [
        Shown(WRONG, "van", "swapped label, car to the model", 0.5),
        Shown(RIGHT, "car"),
        Shown(MISSING, "van?", "missing label", 0.4),
    ]


def test_a_correction_in_label_studio_comes_back(folder):
    path = export(folder, "labelstudio")
    first, second = submitted(path)
    first["annotations"].insert(0, {"was_cancelled": True, "result": []})
    results = first["annotations"][1]["result"]
    values = {result["value"]["rectanglelabels"][0]: result for result in results}
    values["person?"]["value"]["rectanglelabels"] = ["person"]  # somebody is there
    del results[0]  # and nobody is there
    second["annotations"] = [{"was_cancelled": True, "result": []}]
    path.write_text(json.dumps([first, second]))
    one, _, three = convert(folder, "after", "--corrections", str(path))
    np.testing.assert_allclose(sorted(objects(one)), sorted([LOOSE, RIGHT, MISSING]))
    assert objects(three) == [LOOSE]  # nobody submitted it


def test_a_correction_in_fiftyone_comes_back(folder):
    before = convert(folder, "again")
    back = export_fiftyone(folder, "--audit", str(folder / "audit.parquet"))
    after = convert(folder, "after", "--corrections", str(back))
    assert [sorted(objects(row)) for row in after] == [sorted(objects(row)) for row in before]
    document = json.loads((back / "samples.json").read_text())
    first, _, third = document["samples"]
    area, removed, moved = (first["ground_truth"]["detections"][k] for k in (3, 0, 1))
    assert (area["iscrowd"], removed["iscrowd"]) == (1, 0)
    removed["tags"] = ["remove"]
    moved["bounding_box"][2] = 0.25
    kinds = {one["kind"]: one for one in first["suspects"]["detections"]}
    assert kinds["unsupported label"]["worth"] == first["worth"] == 0.75
    kinds["missing label"]["label"] = "person"
    third["suspects"]["detections"][0]["tags"] = ["add"]  # a loose label, moved
    third["ground_truth"]["detections"].clear()
    (back / "samples.json").write_text(json.dumps(document))
    one, two, three = convert(folder, "after", "--corrections", str(back / "samples.json"))
    at_quarter = [50, 10, 75, 60]
    np.testing.assert_allclose(sorted(objects(one)), sorted([at_quarter, RIGHT, MISSING]))
    assert one["ignore"].count(True) == 1
    assert objects(two) == objects(three) == [RIGHT]


def export_fiftyone(folder: Path, *flags: str) -> Path:
    output = folder / "fiftyone"
    command = ["export", str(folder / "before.parquet"), "--format", "fiftyone", *flags]
    assert main([*command, "--output", str(output)]) == 0
    return output


def test_a_correction_in_cvat_comes_back(folder):
    path = export(folder, "cvat", "--first", "1")
    text = path.read_text()
    assert text.count("<image ") == 1
    boxes = re.findall(r"<box .*?</box>", text)
    assert "unsupported label, 0.75" in boxes[0] and "missing label, 0.50" in boxes[-1]
    text = text.replace(boxes[0], "").replace('xtl="50.0"', 'xtl="52.5"')
    path.write_text(text)
    one, two, _ = convert(folder, "after", "--corrections", str(path))
    assert sorted(objects(one)) == [[52.5, *LOOSE[1:]], RIGHT]
    assert one["ignore"].count(True) == 1 and objects(two) == [RIGHT]


def test_cvat_knows_uploaded_images_by_name_and_number(folder):
    rows = AUDIT.read(folder / "audit.parquet").to_pylist()
    for row in rows:  # the last image has the likeliest error
        row["rank"] = len(rows) - row["rank"]
    AUDIT.write(pa.Table.from_pylist(rows, AUDIT.schema), folder / "audit.parquet", Made())
    path = export(folder, "cvat")
    heads = re.findall(r'<image id="(\d)" name="([^"]*)"', path.read_text())
    path.unlink()
    assert heads == [("0", "a.jpg"), ("1", "c.jpg")]
    shared = export(folder, "cvat", "--images", "..")
    assert f'name="{Path.cwd().name}/a.jpg"' in shared.read_text()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{}", "expected a list of tasks"),
        ("a.json", '[{"data": {}}]', "task 1: is none of Label Studio"),
        ("a.json", '{"samples": [{"filepath": "a.jpg"}]}', "sample 1: is none of FiftyOne with"),
        ("a.xml", "<annotation/>", "its file is no annotations; export it from CVAT"),
        ("a.xml", "<annotations><image name='z.jpg'/></annotations>", "z.jpg: is not among"),
        (
            "a.xml",
            "<annotations><image name='a.jpg'><box label='dog' xtl='1' ytl='1' xbr='2' ybr='2'/>"
            "</image></annotations>",
            "label 'dog' is not among the annotations', which are person",
        ),
        (
            "a.xml",
            "<annotations><image name='a.jpg'><box label='person' xtl='1'/></image></annotations>",
            "image 1: expected four numbers of a box",
        ),
        (
            "a.xml",
            "<annotations><image name='a.jpg'><box label='person' xtl='1' ytl='1' xbr='1' ybr='2'/>"
            "</image></annotations>",
            "a.jpg: a box has no area inside its image",
        ),
    ],
)
def test_what_is_no_correction_is_one_line(folder, capsys, name, text, message):
    (folder / name).write_text(text)
    command = ["convert", "--format", "coco", "--annotations", str(folder / "labels.json")]
    command += ["--corrections", str(folder / name), "--output", str(folder / "bad.parquet")]
    assert main(command) == 1
    assert message in capsys.readouterr().err
    assert not (folder / "bad.parquet").exists()


def test_without_the_annotations_there_is_nothing_to_show(folder, capsys):
    command = ["export", str(folder / "audit.parquet"), "--format", "cvat"]
    assert main([*command, "--output", str(folder / "t.xml")]) == 1
    assert "--annotations: needed" in capsys.readouterr().err
