"""The verb `convert`: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import read_made
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.rejects import REJECTS
from dipr1.cli import main
from tests.unit.datasets.coco_set import convert, make_source, rejects


@pytest.fixture
def source(tmp_path: Path, monkeypatch) -> dict:
    """A COCO document with images on disk; the working directory is beside them."""
    monkeypatch.chdir(tmp_path)
    return make_source()


def test_strict_fails_after_the_rejects_are_written(source, capsys):
    source["annotations"][1]["bbox"] = [0, 0, 0, 0]
    assert convert(source, "--strict") == 1
    assert rejects() == [("annotations[1]", "bbox has no area")]
    assert not Path("out/a.parquet").exists()
    assert capsys.readouterr().err == (
        "dipr1 convert: coco.json: annotations[1]: bbox has no area;"
        " 1 records rejected (--strict); see out/r.parquet\n"
    )


def test_strict_does_not_mind_other_labels(source):
    assert convert(source, "--strict") == 0


def test_no_image_left_is_an_error_with_the_first_reason(source, capsys):
    source["images"] = [{"id": 1, "file_name": "missing.png"}]
    assert convert(source) == 1
    assert "no image is left of 1; first reason: image file is missing" in capsys.readouterr().err
    assert len(rejects()) == 4
    assert not Path("out/a.parquet").exists()


def test_boxes_that_are_all_rejected_stop_it(source, capsys):
    for annotation in source["annotations"]:
        annotation["bbox"] = [1, 2, 3]
    assert convert(source) == 1
    error = capsys.readouterr().err
    assert "coco.json: every box or every image is rejected" in error
    assert "for example annotations[0]: bbox is not four numbers [x, y, width, height]:" in error
    assert '\'{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3]' in error
    assert len(rejects()) == 4
    assert not Path("out/a.parquet").exists()


@pytest.mark.parametrize(("good", "code"), [(1, 1), (2, 0)])
def test_files_that_are_all_rejected_stop_it_where_they_are_most(tmp_path, good, code, capsys):
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    for number in range(4):
        line = "Pedestrian 0 0 0 1 2 9 9 1 1 1 1 1 1 0" if number < good else "0 0.5 0.5 0.1 0.1"
        (tmp_path / f"labels/{number}.txt").write_text(line + "\n")
        Image.new("RGB", (40, 30)).save(tmp_path / f"images/{number}.png")
    paths = f"--annotations {tmp_path}/labels --images {tmp_path}/images"
    flags = f"convert --format kitti {paths} --output {tmp_path}/a.parquet"
    assert main(flags.split()) == code
    error = capsys.readouterr().err
    assert f"{4 - good} of 4 files: every box or every image is rejected" in error
    assert "'0 0.5 0.5 0.1 0.1'" in error


def test_boxes_of_missing_images_do_not_count_as_rejected(source):
    source["images"][2]["file_name"] = "images/elsewhere.png"
    source["annotations"] = source["annotations"][:1]
    assert convert(source) == 0


def test_missing_images_are_shown_by_an_example(source, capsys):
    source["images"][0]["file_name"] = "images/ten.png"
    assert convert(source) == 0
    missing = ", for example images/images/ten.png; there is images/ten.png\n"
    assert f"1 image files are missing{missing}" in capsys.readouterr().err
    assert convert(source, "--strict") == 1
    assert capsys.readouterr().err.endswith(f"see out/r.parquet{missing}")


def turned(source: dict, size: tuple[int, int]) -> None:
    """Let one of the images have an EXIF orientation, and a declared size."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save("images/one.png", exif=exif)
    source["images"][2] |= {"width": size[0], "height": size[1]}


def test_a_size_of_before_or_after_the_turn_is_rejected_by_its_name(source):
    turned(source, (40, 30))
    assert convert(source) == 0
    assert convert(source, "--exif", "ignore", "--strict") == 0
    turned(source, (30, 40))
    assert convert(source) == 0
    assert [reason for _, reason in rejects()] == ["bbox lies outside its image"]
    assert convert(source, "--exif", "ignore") == 0
    assert rejects()[0] == (
        "images[2]",
        "declared size 30 x 40 is not the file's 40 x 30, not turned by its EXIF orientation"
        " (exif: turn is for such sets)",
    )


def test_who_reads_the_artifacts_knows_which_images_are_not_turned(source):
    assert convert(source, "--prompts", "out/p.parquet") == 0
    for artifact, path in ((ANNOTATIONS, "out/a.parquet"), (PROMPTS, "out/p.parquet")):
        assert "exif" not in artifact.read(path).column_names
    assert convert(source, "--prompts", "out/p.parquet", "--exif", "ignore") == 0
    for artifact, path in ((ANNOTATIONS, "out/a.parquet"), (PROMPTS, "out/p.parquet")):
        assert artifact.read(path)["exif"].to_pylist() == ["ignore"] * 3


def test_images_are_decoded_as_asked(source):
    written = Path("images/two.png").read_bytes()
    Path("images/two.png").write_bytes(written[:-30] + bytes(18) + written[-12:])
    assert convert(source, "--decode", "false", "--strict") == 0
    assert convert(source) == 0
    assert [record for record, _ in rejects()] == ["images[1]"]


def test_backslashes_of_windows_are_slashes(source):
    for image in source["images"]:
        image["file_name"] = "..\\images\\" + image["file_name"]
    assert convert(source) == 0
    assert ANNOTATIONS.read("out/a.parquet")["image"][0].as_py() == "images/../images/one.png"


def test_counts_as_json(source, capsys):
    source["annotations"][1]["bbox"] = None
    assert convert(source, "--json") == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["boxes"] == {"read": 4, "kept": 2, "rejected": 1, "other_labels": 1}
    assert counts["rows"] == {"read": 7, "kept": 5, "rejected": 1, "other_labels": 1}
    assert counts["reasons"] == {"bbox is not four numbers [x, y, width, height]": 1}


def test_prompts_are_in_the_frame_of_the_policy(source):
    assert convert(source, "--prompts", "out/p.parquet") == 0
    annotations = ANNOTATIONS.read("out/a.parquet")
    prompts = PROMPTS.read("out/p.parquet")
    assert prompts["image_id"] == annotations["image_id"]
    assert prompts["gt_boxes"][0].as_py() == [[96.0, pytest.approx(85.3333, abs=1e-4), 128, 128]]
    assert len(prompts["ignore_boxes"][0].as_py()) == 1


def test_the_same_input_gives_the_same_bytes_anywhere(source, tmp_path, monkeypatch):
    assert convert(source, "--prompts", "out/p.parquet") == 0
    first = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    assert len(first) == 3
    other = tmp_path / "elsewhere"
    other.mkdir()
    (tmp_path / "images").rename(other / "images")
    monkeypatch.chdir(other)
    assert convert(source, "--prompts", "out/p.parquet") == 0
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == first


@pytest.mark.parametrize(
    "flags",
    [[], ["--format", "coco"], ["--annotations", "a"], ["--source", "x", "--format", "coco"]],
)
def test_the_files_are_named_in_one_way(source, flags, capsys):
    arguments = ["convert", "--labels", "person", "--output", "out", "--rejects", "r", *flags]
    assert main(arguments) == 1
    assert "--source" in capsys.readouterr().err


def test_a_policy_that_is_not_there_is_found_out_first(source, capsys):
    assert convert(source, "--prompts", "out/p.parquet", "--policy", "missing") == 1
    assert "missing/config.json: no such file" in capsys.readouterr().err
    assert not Path("out").exists()


def test_one_file_alone_is_enough(source):
    """No images, no labels, no rejects: sizes are declared, all labels kept."""
    source["images"][1] |= {"width": 64, "height": 48}
    Path("coco.json").write_text(json.dumps(source))
    command = "convert --format coco --annotations coco.json --output out/a.parquet"
    assert main(command.split()) == 0
    rows = ANNOTATIONS.read("out/a.parquet").to_pylist()
    assert [(row["image"], row["width"]) for row in rows] == [
        ("one.png", 40),
        ("ten.png", 40),
        ("two.png", 64),
    ]
    assert rows[0]["labels"] == ["person", "car", "person"]
    assert REJECTS.read("out/a.rejects.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--min-inside 1.5", "--min-inside: found '1.5'; input should be less than or equal to 1"),
        ("--min-inside nan", "--min-inside: found 'nan'; input should be "),
        ("--min-size -1", "--min-size: found '-1'; input should be greater than or equal to 0"),
        ("--ignore-labels dog", "--ignore-labels: no category 'dog'; there are person, car"),
        (
            "--ignore-labels person",
            "--ignore-labels: 'person' is among the labels",
        ),
        ("--box head", "--box: format coco has no head boxes; it has full"),
        ("--images elsewhere", "--images: elsewhere: no such folder"),
        ("--sizes missing.json", "missing.json: no such file; give the table of sizes"),
    ],
)
def test_a_wrong_flag_is_answered_with_one_line(source, flags, message, capsys):
    assert convert(source, *flags.split()) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"dipr1 convert: {message}") and error.count("\n") == 1
    assert not Path("out/a.parquet").exists()


def test_ignore_labels_need_labels(source, capsys):
    Path("coco.json").write_text(json.dumps(source))
    command = "convert --format coco --annotations coco.json --output a --ignore-labels car"
    assert main(command.split()) == 1
    assert "--ignore-labels: needs labels" in capsys.readouterr().err


def checkpoint(model_type: str) -> str:
    Path("checkpoint").mkdir()
    Path("checkpoint/config.json").write_text(json.dumps({"model_type": model_type}))
    return "checkpoint"


def test_a_frame_that_is_given_wins_over_the_family_s(source):
    policy = ["--prompts", "out/p.parquet", "--policy", checkpoint("qwen2_5_vl")]
    assert convert(source, *policy) == 0
    plain = PROMPTS.read("out/p.parquet")
    assert set(plain["frame"].to_pylist()) == {"absolute"}
    assert convert(source, *policy, "--frame", "thousandths") == 0
    given = PROMPTS.read("out/p.parquet")
    assert set(given["frame"].to_pylist()) == {"thousandths"}
    assert given["gt_boxes"][0].as_py() == [[750, pytest.approx(2000 / 3), 1000, 1000]]
    assert read_made("out/p.parquet").options["frame"] == "thousandths"


@pytest.mark.parametrize("model_type", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_an_image_that_the_policy_refuses_is_a_reject(source, model_type):
    Image.new("L", (804, 4)).save("images/two.png")
    policy = ["--prompts", "out/p.parquet", "--policy", checkpoint(model_type)]
    assert convert(source) == 0
    assert ANNOTATIONS.read("out/a.parquet").num_rows == 3
    assert convert(source, *policy) == 0
    reason = (
        "the policy cannot see an image of this size: expected sides that differ by at most 200"
        " times but got 804 x 4"
    )
    assert rejects() == [("images[1]", reason)]
    for table in (ANNOTATIONS.read("out/a.parquet"), PROMPTS.read("out/p.parquet")):
        assert table["image_id"].to_pylist() == ["1", "10"]
