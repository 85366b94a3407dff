"""Planning through the command line: from a configuration and JSON files alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from dipr1.artifacts.prompts import PROMPTS
from dipr1.cli import main
from dipr1.config import load
from dipr1.places import Places
from tests.unit import two_images
from tests.unit.training.test_planning import THREE_BILLION

SPLIT = {"format": "coco", "labels": ["person"]}
SPLIT["splits"] = {"train": {"annotations": "a.json", "images": "images"}}


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes an experiment whose policy has three billion weights and a config.json alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "config.json").write_text(json.dumps(THREE_BILLION))

    def write(**training) -> list[str]:
        arms = {"base": {"method": "none"}, "sft": {"method": "sft"}}
        arms |= {name: {"method": "grpo", "rewards": {"accuracy": 1}} for name in ("one", "two")}
        values = {
            "datasets": {"mine": SPLIT},
            "policy": {"model": "policy", "dtype": "bfloat16"},
            "training": {"dataset": "mine", "precision": "bf16"} | training,
            "arms": arms,
            "evaluation": {"sets": ["mine.train"]},
        }
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        return ["plan", "config.yaml"]

    return write


LORA = {"lora_rank": 64, "gradient_checkpointing": True, "micro_batch_size": 8}


def test_arms_that_need_the_same_are_planned_together(config, capsys):
    assert main(config(**LORA)) == 0
    text = capsys.readouterr().out
    assert text.startswith("policy: 3.75 billion weights: language model 3.09 billion")
    assert "an image of 1920 x 1080 is 1222 tokens" in text
    assert re.findall("^arms? (.*):$", text, re.M) == ["sft", "one, two"]
    assert "128 responses, 8 at a time" in text
    assert re.search(r"sample: 128 responses at once need .*; 1000 images x 8 take \d", text)
    assert text.count("fits") == 2
    assert re.search(r"ask SLURM for: gpu: 1, mem_mb: \d+000, runtime: \d+0$", text, re.M)


def test_what_does_not_fit_is_told_with_what_would(config, capsys):
    assert main([*config(max_completion_length=2048), "--gpu", "a100-40"]) == 0
    text = capsys.readouterr().out
    assert text.count("does NOT fit") == 2
    assert "  would fit: lora_rank: 64" in text


def test_processes_share_an_update(config, capsys):
    assert main([*config(**LORA), "--processes", "4"]) == 0
    text = capsys.readouterr().out
    assert "32 responses of each process, 8 at a time" in text
    assert "gpu: 4, mem_mb" in text


def test_images_are_as_large_as_the_prompts_say_or_as_is_asked(config, tmp_path, capsys):
    words = config()
    assert main([*words, "--image-size", "280x280"]) == 0
    assert "an image of 280 x 280 is 100 tokens" in capsys.readouterr().out
    prompts = [row | {"width": 560} for row in two_images.prompts().to_pylist()]
    path = Path(Places(load("config.yaml")).path("prompts", "mine", "train"))
    path.parent.mkdir(parents=True)
    PROMPTS.write(pa.Table.from_pylist(prompts, PROMPTS.schema), path)
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "an image of 560 x 100 is 80 tokens" in shown
    assert "; 2 images x 8 take 0.0 h" in shown
    assert main([*words, "--image-size", "large"]) == 1
    assert "found 'large'; expected one like 1920x1080" in capsys.readouterr().err


def test_no_torch_is_needed(config):
    words = config()
    code = (
        "import sys; sys.modules |= dict.fromkeys(('torch', 'transformers', 'trl'));"
        f"from dipr1.cli import main; sys.exit(main({words!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
