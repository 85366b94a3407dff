"""The rewards as ms-swift loads and calls them."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dipr1.rewards import for_swift
from tests.unit.rewards.adapters.inputs import SWIFT
from tests.unit.rewards.responding import EXPECTED, PEOPLE, SCENE, TEXTS


def swift_columns(as_json: bool = False) -> dict[str, list]:
    """What ms-swift makes of the rows, next to the state of the trainer."""
    truth = {n: json.dumps(v) if as_json else v for n, v in SCENE.items()} | {"image_id": "a,1"}
    rows = [
        {"messages": [{"role": "assistant", "content": text}], "finish_reason": "stop", **truth}
        for text in TEXTS
    ]
    return {name: [row[name] for row in rows] for name in rows[0]} | {"trainer_state": object()}


@pytest.mark.parametrize("as_json", [False, True])
def test_swift_calls_with_columns(as_json):
    for name, make in SWIFT.items():
        reward = make(args=object())
        assert not inspect.iscoroutinefunction(reward.__call__)
        found = reward(TEXTS, **swift_columns(as_json))
        assert found == [rewards[name] for rewards in EXPECTED]


def test_swift_leaves_out_rows_without_ground_truth():
    columns = {"gt_boxes": [None, PEOPLE], "gt_labels": [None, ["person"] * 3]}
    assert for_swift.DipAccuracy()(TEXTS[:2], **columns)[0] is None


def test_swift_finds_the_rewards_by_name(tmp_path):
    # A stand-in for ms-swift, as its 4.6 exposes rewards and loads a plugin's file.
    package = tmp_path / "swift" / "rewards"
    package.mkdir(parents=True)
    (tmp_path / "swift" / "__init__.py").touch()
    (package / "__init__.py").write_text(
        "class ORM:\n"
        "    def __init__(self, args=None, **kwargs):\n"
        "        self.args = args\n"
        "orms = {}\n"
    )
    code = (
        "import importlib.util, json, os, sys\n"
        "path, columns = sys.argv[1], json.loads(sys.argv[2])\n"
        "sys.path.insert(0, os.path.dirname(path))\n"
        "spec = importlib.util.spec_from_file_location('_swift_external_1', path)\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules[spec.name] = module\n"
        "spec.loader.exec_module(module)\n"
        "from swift.rewards import ORM, orms\n"
        "rewards = [orms['dipr1_' + n](args=1) for n in ('reasoning', 'looking', 'accuracy')]\n"
        "assert all(isinstance(reward, ORM) for reward in rewards)\n"
        "print(json.dumps([reward(**columns) for reward in rewards]))\n"
    )
    columns = {name: [value] * len(TEXTS) for name, value in SCENE.items()}
    arguments = [for_swift.__file__, json.dumps({"completions": TEXTS, **columns})]
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{Path(for_swift.__file__).parents[2]}"},
    )
    assert result.returncode == 0, result.stderr
    expected = [[rewards[name] for rewards in EXPECTED] for name in SWIFT]
    assert json.loads(result.stdout) == expected


def test_no_module_here_hides_a_framework():
    # ms-swift puts the folder of a plugin first on the path.
    folder = Path(for_swift.__file__).parent
    frameworks = {"swift", "verl", "trl", "torch", "transformers", "datasets", "numpy"}
    assert not frameworks & {file.stem for file in folder.glob("*.py")}
