"""The readers of the smaller formats on real annotation files; everything is counted twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import box_arrays
from dipr1.cli import main
from dipr1.datasets import formats
from dipr1.datasets.reading import ANY_LABEL, Reading


@pytest.fixture
def folder(shared_data: Path) -> Callable[[str], Path]:
    """A folder of the real data; its test is skipped where it is missing."""

    def find(name: str) -> Path:
        path = shared_data / name
        if not path.is_dir():
            pytest.skip(f"{name} is not among the real data")
        return path

    return find


def fields(path: Path, separator: str | None) -> list[list[str]]:
    return [line.split(separator) for line in path.read_text().splitlines() if line]


def labels_of(reading: Reading) -> Counter[str]:
    return Counter(reading.labels[code] for code in reading.boxes().label)


def convert(tmp_path: Path, capsys: pytest.CaptureFixture, **flags: object) -> tuple[dict, Path]:
    """`dipr1 convert --strict`: the printed counts and the annotations."""
    output = tmp_path / "annotations.parquet"
    command = ["convert", "--output", str(output), "--strict", "--json"]
    for name, value in flags.items():
        command += [f"--{name}", *([value] if isinstance(value, str) else map(str, value))]
    assert main(command) == 0
    return json.loads(capsys.readouterr().out), output


def test_uavdt(folder, tmp_path, capsys):
    files = folder("uavdt")
    whole = {name: fields(files / f"{name}_gt_whole.txt", ",") for name in ("M0207", "M0208")}
    ignored = {name: fields(files / f"{name}_gt_ignore.txt", ",") for name in whole}
    lines = sum(map(len, whole.values()))
    regions = sum(map(len, ignored.values()))
    frames = {
        f"{name}/img{int(row[0]):06d}" for name in whole for row in whole[name] + ignored[name]
    }
    sizes = tmp_path / "sizes.json"
    sizes.write_text(json.dumps({frame: [540, 1024] for frame in frames}))

    counts, output = convert(
        tmp_path,
        capsys,
        format="uavdt",
        annotations=str(files),
        sizes=str(sizes),
        labels=["car", "truck", "bus"],
    )

    assert counts["images"]["kept"] == len(frames)
    assert counts["boxes"]["kept"] == lines + regions == 2117
    table = ANNOTATIONS.read(output).to_pylist()
    assert sum(flag for row in table for flag in row["ignore"]) == regions == 265
    kept = Counter(
        label
        for row in table
        for label, flag in zip(row["labels"], row["ignore"], strict=True)
        if not flag
    )
    names = {"1": "car", "2": "truck", "3": "bus"}
    assert kept == Counter(names[row[8]] for rows in whole.values() for row in rows)


def test_mot15(folder, tmp_path, capsys):
    files = folder("mot15")
    rows = {path.parents[1].name: fields(path, ",") for path in sorted(files.glob("*/gt/gt.txt"))}
    frames = {f"{name}/{int(row[0]):06d}" for name in rows for row in rows[name]}
    sizes = tmp_path / "sizes.json"
    sizes.write_text(json.dumps({frame: [480, 640] for frame in frames}))
    flags = {"format": "mot", "annotations": str(files), "sizes": str(sizes)}

    counts, output = convert(tmp_path, capsys, **flags, labels=["pedestrian"])

    assert counts["images"]["kept"] == len(frames) == 71 + 179
    assert counts["boxes"]["kept"] == 359 + 1156
    annotations = ANNOTATIONS.read(output)
    boxes = dict(
        zip(annotations["image_id"].to_pylist(), box_arrays(annotations["boxes"]), strict=True)
    )
    # 1,1,399,182,121,229: the first pixel is number 1
    assert boxes["TUD-Campus/000001"][0].tolist() == [398, 181, 519, 410]


def test_kitti(folder, tmp_path, capsys):
    files = folder("kitti") / "label_2"
    rows = {path.stem: fields(path, None) for path in sorted(files.glob("*.txt"))}
    sizes = tmp_path / "sizes.json"
    sizes.write_text(json.dumps({name: [375, 1242] for name in rows}))
    flags = {"format": "kitti", "annotations": str(files), "sizes": str(sizes)}

    counts, output = convert(tmp_path, capsys, **flags, labels=["Pedestrian", "Cyclist"])

    types = Counter(row[0] for name in rows for row in rows[name])
    asked = types["Pedestrian"] + types["Cyclist"]
    assert counts["images"]["kept"] == len(rows)
    assert counts["boxes"]["kept"] == asked + types["DontCare"] == 6
    assert counts["boxes"]["other_labels"] == types.total() - 6
    table = ANNOTATIONS.read(output).to_pylist()
    assert [row["ignore"] for row in table] == [[False], [False] + [True] * 4, []]


def test_eurocity(folder):
    path = folder("ecp") / "ecp.json"
    children = json.loads(path.read_text())["children"]
    reading = formats.read("eurocity", str(path))
    columns = reading.boxes()
    assert labels_of(reading) == Counter(child["identity"] for child in children)
    corners = [[child[key] for key in ("x0", "y0", "x1", "y1")] for child in children]
    np.testing.assert_array_equal(columns.xyxy, corners)
    np.testing.assert_allclose(columns.visibility, [0.2, 0.2])  # occluded>80, truncated>80
    assert not reading.rejected_images and not reading.rejected_boxes


def test_pennfudan(folder, tmp_path, capsys):
    files = folder("pennfudan")
    texts = {path.stem: path.read_text() for path in sorted((files / "Annotation").glob("*.txt"))}
    announced = {
        name: int(re.search(r"ground truth : (\d+)", text)[1]) for name, text in texts.items()
    }

    counts, output = convert(
        tmp_path,
        capsys,
        format="pennfudan",
        annotations=str(files / "Annotation"),
        images=str(files / "images"),
        labels=["person"],
    )

    assert counts["images"]["kept"] == len(texts) == 8
    assert counts["boxes"]["kept"] == sum(announced.values()) == 17
    annotations = ANNOTATIONS.read(output)
    for name, boxes in zip(
        annotations["image_id"].to_pylist(), box_arrays(annotations["boxes"]), strict=True
    ):
        corners = re.findall(r": \((\d+), (\d+)\) - \((\d+), (\d+)\)", texts[name])
        # nothing was clipped: counted from 1 with both ends inside, the boxes fit the images
        np.testing.assert_array_equal(boxes, np.array(corners, float) - [1, 1, 0, 0])


def test_voc(folder):
    files = folder("voc")
    texts = [path.read_text() for path in sorted(files.glob("*.xml"))]
    reading = formats.read("voc", str(files))
    columns = reading.boxes()
    assert len(reading.images) == len(texts) == 12
    assert len(columns.label) == sum(text.count("<object>") for text in texts) == 31
    difficult = sum(text.count("<difficult>1</difficult>") for text in texts)
    assert columns.ignore.sum() == difficult == 4
    names = Counter(name for text in texts for name in re.findall(r"<name>(\w+)</name>", text))
    assert labels_of(reading) == names
    sizes = np.array([reading.images[image].size for image in columns.image], float)
    assert (columns.xyxy >= 0).all() and (columns.xyxy[:, 2:] <= sizes).all()
    assert ANY_LABEL not in reading.labels
