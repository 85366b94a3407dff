"""The rewards as ms-swift loads and calls them."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dipr1.rewards import LookingReward, for_swift
from tests.unit.rewards.adapters.inputs import SWIFT
from tests.unit.rewards.responding import EXPECTED, PEOPLE, SCENE, TEXTS, respond


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


def test_swift_hands_on_what_tells_groups():
    columns = {"gt_boxes": [json.dumps(PEOPLE)] * len(TEXTS), "prompt_id": list("aaaabbc")}
    rewards = for_swift.DipLookingGroup()(TEXTS, **columns)
    given = {"gt_boxes": [PEOPLE] * len(TEXTS), "image_id": list("1111223")}
    assert rewards == LookingReward(source="group")(TEXTS, **given)
    assert rewards[0] is not None and rewards[-1] is None
    images = columns | {"image_id": list("1112345")}
    assert [r is None for r in for_swift.DipLookingGroup()(TEXTS, **images)] == [False] * 3 + [
        True
    ] * 4


def test_swift_may_write_one_label_as_a_string():
    columns = {"gt_boxes": [PEOPLE[:1]], "gt_labels": ["person"], "labels": "person"}
    assert for_swift.DipAccuracy()([respond(PEOPLE[:1])], **columns) == [1.0]


STAND_IN = """
class ORM:
    def __init__(self, args=None, **kwargs):
        self.args = args
orms = {}
"""
LOAD = """
import importlib, importlib.util, json, os, sys
path, home, columns = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, os.path.dirname(path))
spec = importlib.util.spec_from_file_location("_swift_external_1", path)
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
home = importlib.import_module(home)
rewards = [home.orms["dipr1_" + n](args=1) for n in ("reasoning", "looking", "accuracy")]
assert all(isinstance(reward, home.ORM) for reward in rewards)
print(json.dumps([reward(**columns) for reward in rewards]))
"""


def load_beside(package: Path, home: str) -> subprocess.CompletedProcess:
    """Load the file as ms-swift loads a plugin's, with a stand-in for ms-swift on the path."""
    columns = {name: [value] * len(TEXTS) for name, value in SCENE.items()}
    arguments = [for_swift.__file__, home, json.dumps({"completions": TEXTS, **columns})]
    return subprocess.run(
        [sys.executable, "-c", LOAD, *arguments],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{package}:{Path(for_swift.__file__).parents[3]}"},
    )


@pytest.mark.parametrize("home", ["swift.rewards", "swift.plugin"], ids=["4.6", "3.x"])
def test_swift_finds_the_rewards_by_name(tmp_path, home):
    package = tmp_path / home.replace(".", "/")
    package.mkdir(parents=True)
    (tmp_path / "swift" / "__init__.py").touch()
    (package / "__init__.py").write_text(STAND_IN)
    result = load_beside(tmp_path, home)
    assert result.returncode == 0, result.stderr
    expected = [[rewards[name] for rewards in EXPECTED] for name in SWIFT]
    assert json.loads(result.stdout) == expected


def test_swift_without_a_home_for_rewards_is_an_error(tmp_path):
    (tmp_path / "swift").mkdir()
    (tmp_path / "swift" / "__init__.py").touch()
    result = load_beside(tmp_path, "swift.rewards")
    last = result.stderr.strip().splitlines()[-1]
    assert result.returncode == 1
    assert last.startswith("ImportError: found no rewards of ms-swift 3 or 4 (swift.rewards: ")


def test_no_module_here_hides_a_framework():
    # ms-swift puts the folder of a plugin first on the path.
    folder = Path(for_swift.__file__).parent
    frameworks = {"swift", "verl", "trl", "torch", "transformers", "datasets", "numpy"}
    assert not frameworks & {file.stem for file in folder.glob("*.py")}
