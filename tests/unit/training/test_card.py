"""The card of a trained policy: what it says, and that what it tells to do can be done."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from dipr1.artifacts.prompts import PROMPTS
from dipr1.cli import main
from dipr1.errors import UserError
from dipr1.policies.families import policy_input, read_policy_frames
from dipr1.provenance import CHECKPOINT
from dipr1.training.card import FILE, card, write_card
from tests.unit.policy_folders import as_adapter, trained_policy
from tests.unit.scenes import scene_prompts


def parts(text: str) -> tuple[dict, str]:
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


def test_what_it_says(tmp_path):
    front, body = parts(card(trained_policy(tmp_path / "policy")))
    assert front == {
        "datasets": ["mine"],
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["dipr1", "object-detection", "crowded-scenes", "grpo"],
    }
    for said in (
        "# dipr1",
        "boxes of person, rider",
        "- **Base**: the policy that dipr1 comes with\n",
        "`mine.train`, annotations in the format `crowdhuman`",
        "GRPO, seed 4",
        "pixels of the 128 x 128 picture",
        "greedy, 160 tokens at most",
        "`updates` 3, `dtype` float32.",
        "| accuracy | 3 | Weighted precision and recall",
        "CrowdHuman: non-commercial research and education",
    ):
        assert said in body
    assert "| looking |" not in body  # it has no weight
    assert str(tmp_path) not in body


def test_it_is_the_same_wherever_the_tree_lies(tmp_path):
    trained_policy(tmp_path / "tree" / "policy")
    shutil.copytree(tmp_path / "tree", tmp_path / "another")
    assert card(tmp_path / "another" / "policy") == card(tmp_path / "tree" / "policy")


def test_a_base_of_the_hubs_cache_has_its_name(tmp_path):
    base = tmp_path / "models--Some--Base-3B" / "snapshots" / "1"
    shutil.copytree(CHECKPOINT, base)
    first = trained_policy(tmp_path / "first", base=str(base))
    front, body = parts(card(first))
    assert front["base_model"] == "Some/Base-3B"
    assert "- **Base**: `Some/Base-3B`\n" in body
    front, body = parts(card(trained_policy(tmp_path / "second", base=str(first))))
    assert front["base_model"] == "Some/Base-3B"
    assert "- **Base**: `Some/Base-3B`, trained before as `dipr1`\n" in body


def test_an_adapter(tmp_path):
    folder = as_adapter(trained_policy(tmp_path / "policy", kind="coco", lora_rank=4), "tiny")
    front, body = parts(card(folder))
    assert front["library_name"] == "peft"
    assert "; this is an adapter of it (LoRA)\n" in body
    assert "- **Data**: not known here; look it up" in body


def test_a_policy_of_others_has_none(tmp_path):
    shutil.copytree(CHECKPOINT, tmp_path / "policy")
    with pytest.raises(UserError, match="was not trained by `dipr1 train`"):
        card(tmp_path / "policy")


def test_a_card_changes_no_answers(tmp_path):
    folder = trained_policy(tmp_path / "policy")
    before = policy_input(str(folder))
    write_card(folder)
    assert policy_input(str(folder)) == before


def test_the_frame_of_the_training_is_kept(tmp_path):
    folder = trained_policy(tmp_path / "policy", frame="thousandths")
    config = json.loads((folder / "config.json").read_text())
    del config["dipr1_frame"]
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "unheard_of"}))
    assert read_policy_frames(str(folder)).kind == "thousandths"
    assert "thousandths of the picture's width and height" in card(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """All files at the top of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_training_writes_it_the_same_each_time_and_it_can_be_followed(
    tmp_path, monkeypatch, capsys
):
    pytest.importorskip("trl")
    folders = [tmp_path / "one" / "policy", tmp_path / "other" / "policy"]
    table = scene_prompts(tmp_path, 2)
    for folder in folders:
        PROMPTS.write(table, folder.parent / "prompts.parquet")
        monkeypatch.chdir(folder.parent)
        words = "train --arm taught --method sft --updates 1 --prompts-per-update 2 --threads 1"
        words += " --prompts prompts.parquet --output policy"
        assert main(words.split()) == 0
    assert contents(folders[0]) == contents(folders[1])
    settings = json.loads((folders[0] / "generation_config.json").read_text())
    assert (settings["do_sample"], settings["max_new_tokens"]) == (False, 256)

    code = re.search("```python\n(.*?)```", (folders[0] / FILE).read_text(), re.DOTALL)[1]
    assert len(code.splitlines()) <= 12
    code = code.replace("FOLDER", str(folders[0])).replace("street.jpg", str(tmp_path / "0.png"))
    capsys.readouterr()
    exec(code, {})  # the card's own lines
    assert re.match(r"\[ *\d", capsys.readouterr().out)
