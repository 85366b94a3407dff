"""Sampling and predicting through the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from dipr1.artifacts.made import read_made
from dipr1.artifacts.prompts import PROMPTS, reworded
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from dipr1.demo.scenes import scene
from dipr1.resuming import MARK
from tests.unit.experiment import make_experiment

SHORT = ("--max-new-tokens", "20", "--threads", "1")


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    """Prompts about three scenes."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, arms=("base",), num_images=3, updates=1)
    return folder / "results/prompts/crowdscenes/validation.parquet"


def test_a_shard_is_sampled_and_its_parts_are_removed(prompts, tmp_path):
    output = tmp_path / "samples.parquet"
    words = ["--shard", "1/2", "--num-samples", "2", "--batch-size", "2", "--seed", "3"]
    words += ["--output", output]
    assert main(["sample", str(prompts), *map(str, words), *SHORT]) == 0
    assert SAMPLES.read(output)["image_id"].to_pylist() == ["1", "1", "2", "2"]
    assert list(tmp_path.iterdir()) == [output]
    made = read_made(output)
    assert (made.verb, made.seed, made.options["num_samples"]) == ("sample", 3, 2)


def test_predictions_are_one_greedy_sample_each(prompts, tmp_path):
    greedy = ["--num-samples", "1", "--temperature", "0", "--output"]
    predicted, sampled = tmp_path / "predicted.parquet", tmp_path / "sampled.parquet"
    assert main(["predict", str(prompts), "--output", str(predicted), *SHORT]) == 0
    assert main(["sample", str(prompts), *greedy, str(sampled), *SHORT]) == 0
    assert SAMPLES.read(predicted) == SAMPLES.read(sampled)
    assert len(SAMPLES.read(predicted)) == PROMPTS.read(prompts).num_rows


def test_other_files_are_not_taken_for_parts(prompts, tmp_path, capsys):
    thesis = tmp_path / "thesis.tex"
    thesis.touch()
    words = ["--parts", tmp_path, "--output", tmp_path / "samples.parquet", *SHORT]
    assert main(["sample", str(prompts), *map(str, words)]) == 1
    assert "holds other files" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [thesis]


def test_parts_of_other_code_are_set_aside_and_a_deleted_artifact_is_given_again(
    prompts, tmp_path, capsys
):
    output, parts = tmp_path / "samples.parquet", tmp_path / "parts"
    words = ["sample", str(prompts), "--output", str(output), "--parts", str(parts), *SHORT]
    assert main(words) == 0
    before = output.read_bytes()
    output.unlink()
    capsys.readouterr()
    assert main(words) == 0
    assert output.read_bytes() == before
    assert "was finished before" in capsys.readouterr().err

    mark = json.loads((parts / MARK).read_text())
    (parts / MARK).write_text(json.dumps(mark | {"code": "0123456789abcdef"}, sort_keys=True))
    (parts / "finished-0-1").rename(parts / "000000.parquet")
    assert main(words) == 0
    told = f"(code was 0123456789abcdef, now {mark['code']}); set aside as {parts}.set-aside-1"
    assert told in capsys.readouterr().err
    assert output.read_bytes() == before


@pytest.mark.parametrize("verb", ["sample", "predict"])
def test_without_torch_one_line_says_what_to_install(prompts, tmp_path, monkeypatch, capsys, verb):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main([verb, str(prompts), "--output", str(tmp_path / "a.parquet"), *SHORT]) == 1
    told = f"dipr1 {verb}: needs torch; pip install 'dipr1[train]'"
    assert capsys.readouterr().err.splitlines()[-1] == told


def test_boxes_alone_can_be_asked_for(prompts, tmp_path):
    asked = PROMPTS.read(prompts)
    alone, usual = tmp_path / "alone.parquet", tmp_path / "usual.parquet"
    words = ["--form", "answer", "--output", str(alone)]
    assert main(["predict", str(prompts), *words, *SHORT]) == 0
    assert SAMPLES.read(alone)["form"].to_pylist() == ["answer"] * asked.num_rows
    assert read_made(alone).options["form"] == "answer"
    # the same as an artifact whose prompts say so
    question = reworded(asked, True, form="answer")
    assert question["prompt"][0].as_py()[0]["content"] == "Find every person. Boxes only."
    PROMPTS.write(question, tmp_path / "prompts.parquet")
    words = [str(tmp_path / "prompts.parquet"), "--output", str(usual)]
    assert main(["predict", *words, *SHORT]) == 0
    assert SAMPLES.read(alone)["text"] == SAMPLES.read(usual)["text"]
    assert "form" not in SAMPLES.read(usual).column_names


def answered(folder: Path, picture: Image.Image, orientation: int, *flags: str) -> dict:
    """Convert a picture with an EXIF orientation and predict: the only row of each artifact."""
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(folder / "a.png", exif=exif)
    document = {
        "categories": [{"id": 1, "name": "person"}],
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [10, 100, 20, 40]}],
    }
    (folder / "coco.json").write_text(json.dumps(document))
    asked, samples = folder / "prompts.parquet", folder / "samples.parquet"
    words = ["convert", "--format", "coco", "--annotations", folder / "coco.json", "--images"]
    words += [folder, "--policy", "tiny", "--output", folder / "a.parquet", "--prompts", asked]
    assert main([*map(str, words), *flags]) == 0
    assert main(["predict", str(asked), "--output", str(samples), "--threads", "1"]) == 0
    [prompt], [sample] = PROMPTS.read(asked).to_pylist(), SAMPLES.read(samples).to_pylist()
    told = ("width", "height", "gt_boxes")
    return {name: prompt[name] for name in told} | {n: sample[n] for n in ("text", "boxes")}


def test_the_policy_answers_about_the_picture_that_exif_says_or_is_told_to_ignore(tmp_path):
    pytest.importorskip("torch")
    picture = scene(5, seed=3).image
    seen = picture.transpose(Image.Transpose.ROTATE_270)
    ignored = answered(tmp_path / "ignored", picture, 6, "--exif", "ignore")
    assert ignored == answered(tmp_path / "stored", picture, 1)
    assert (ignored["width"], ignored["height"]) == picture.size
    turned = answered(tmp_path / "turned", picture, 6)
    assert turned == answered(tmp_path / "seen", seen, 1)
    assert (turned["width"], turned["height"]) == seen.size
    assert turned["text"] != ignored["text"]
