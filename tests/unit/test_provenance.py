"""Digests: they change with what can change a result, and with nothing else."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dipr1 import provenance
from dipr1.provenance import file_digest, modules_behind, options_digest, policy_digest

PACKAGE = {
    "__init__.py": '__version__ = "1"\n',
    "cli.py": "VERBS = ()\n",
    "boxes.py": 'def area(w, h):\n    """Width times height."""\n    return w * h\n',
    "unused.py": "from dipr1 import boxes\n",
    "datasets/fetching.py": "from dipr1.datasets.sources import SOURCES\n",
    "datasets/formats/__init__.py": "import importlib\n",
    "datasets/formats/kitti.py": "from dipr1.datasets.texts import lines\n",
    "datasets/formats/mot.py": "SEPARATOR = ','\n",
    "datasets/options.py": "DEFAULT = 1\n",
    "datasets/sources.py": "PAGE = 'https://mot.net'\ndef mot(name):\n    return name, PAGE\n"
    "SOURCES: dict = {'mot17': mot('MOT17'), 'coco': 1}\n",
    "datasets/texts.py": "def lines(): ...\n",
    "demo/scenes.py": "COLOUR = 'red'\n",
    "report/page.py": "STYLE = 'page.css'\n",
    "report/figures.py": "WIDTH = 1\n",
    "report/page.css": "a {}\n",
    "rewards/__init__.py": "from dipr1.rewards.accuracy import Accuracy\n"
    "from dipr1.rewards.looking import Looking\n"
    "REWARDS = {'accuracy': Accuracy, 'looking': Looking}\n",
    "rewards/accuracy.py": "class Accuracy: ...\n",
    "rewards/looking.py": "from dipr1.rewards.spans import length\nclass Looking: ...\n",
    "rewards/spans.py": "def length(): ...\n",
    "training/grpo.py": "from dipr1.rewards import REWARDS\n",
    "rewards/new.py": "class New: ...\n",
    "training/sft.py": "def train(): ...\n",
    "training/card.py": "TEXT = 1\n",
    "verbs/convert.py": "from dipr1 import __version__, boxes, cli\nimport dipr1.datasets.formats\n"
    "from dipr1.datasets.options import DEFAULT\n",
    "verbs/describe.py": "from dipr1.report.figures import WIDTH\n",
    "verbs/download.py": "def run():\n    from dipr1.boxes import area\n",
    "verbs/report.py": "import dipr1.report.figures, dipr1.report.page\n",
    "verbs/train.py": "import importlib\nfrom dipr1.training.card import TEXT\n",
}
JOBS = {
    "drawn": ("download", {"maker": "demo.scenes", "sources": ()}),
    "local": ("download", {"maker": "datasets.fetching", "format": "kitti", "sources": ()}),
    "fetched": ("download", {"maker": "datasets.fetching", "format": "mot", "sources": ("mot17",)}),
    "kitti": ("convert", {"format": "kitti"}),
    "mot": ("convert", {"format": "mot"}),
    "describe": ("describe", {}),
    "report": ("report", {}),
    "sft": ("train", {"method": "sft", "rewards": ()}),
    "accuracy": ("train", {"method": "grpo", "rewards": ("accuracy",)}),
    "both": ("train", {"method": "grpo", "rewards": ("accuracy", "looking")}),
}
DOWNLOADS = {"drawn", "local", "fetched"}


@pytest.fixture
def package(tmp_path) -> Path:
    """A package of a few lines, laid out as ours is."""
    for name, text in PACKAGE.items():
        file = tmp_path / "dipr1" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "dipr1"


def digests(package: Path) -> dict[str, str]:
    """The digest of every job, by `dipr1.provenance` as if it lay in `package`."""
    copied = shutil.copy(provenance.__file__, package / "provenance.py")
    spec = importlib.util.spec_from_file_location("provenance_of_a_package", copied)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {job: module.code_digest(verb, **chosen) for job, (verb, chosen) in JOBS.items()}


@pytest.mark.parametrize(
    ("file", "text", "changed"),
    [
        ("__init__.py", '__version__ = "2"\n', set()),
        ("cli.py", "VERBS = ('convert',)\n", set()),
        ("training/card.py", "TEXT = 2\n", set()),
        ("datasets/options.py", "DEFAULT = 2\n", set()),
        ("unused.py", "", set()),
        ("datasets/formats/voc.py", "def read(): ...\n", set()),
        (
            "boxes.py",
            "'A docstring.'\ndef area(  # a comment\n  w,\n  h,\n):\n  return (w * h)\n",
            set(),
        ),
        (
            "boxes.py",
            "def area(w, h):\n    return w + h\n",
            DOWNLOADS | {"kitti", "mot"},
        ),
        ("datasets/texts.py", "def lines(): 1\n", {"local", "kitti"}),
        ("datasets/formats/mot.py", "SEPARATOR = ';'\n", {"fetched", "mot"}),
        ("datasets/fetching.py", "from dipr1.datasets.sources import *\n", {"local", "fetched"}),
        (
            "datasets/sources.py",
            "PAGE = 'https://mot.net'\ndef mot(name):\n    return name, PAGE\n"
            "SOURCES: dict = {'new': 1, 'mot17': mot('MOT17'), 'coco': 2}\n",
            set(),
        ),
        (
            "datasets/sources.py",
            "PAGE = 'https://mot.org'\ndef mot(name):\n    return name, PAGE\n"
            "SOURCES: dict = {'mot17': mot('MOT17'), 'coco': 1}\n",
            {"fetched"},
        ),
        ("demo/scenes.py", "COLOUR = 'blue'\n", {"drawn"}),
        ("report/page.css", "b {}\n", {"report"}),
        ("report/figures.py", "WIDTH = 2\n", {"describe", "report"}),
        ("training/sft.py", "def train(): 1\n", {"sft"}),
        ("training/grpo.py", "from dipr1.rewards import REWARDS as R\n", {"accuracy", "both"}),
        ("rewards/accuracy.py", "class Accuracy: a = 1\n", {"accuracy", "both"}),
        ("rewards/spans.py", "def length(): 1\n", {"both"}),
        (
            "rewards/__init__.py",
            "from dipr1.rewards.accuracy import Accuracy\nfrom dipr1.rewards.new import New\n"
            "REWARDS = {'new': New, 'accuracy': Accuracy, 'looking': New}\n",
            {"both"},
        ),
    ],
)
def test_an_edit_changes_the_digests_of_what_it_can_change(package, file, text, changed):
    before = digests(package)
    (package / file).write_text(text)
    after = digests(package)
    assert {job for job in before if before[job] != after[job]} == changed


def kept(package: Path) -> Path:
    return package / "__pycache__" / "provenance.json"


def test_what_was_found_in_a_module_is_not_found_again(package):
    before = digests(package)
    found = json.loads(kept(package).read_text())
    told = {
        text: [imports, "another digest", assets] for text, (imports, _, assets) in found.items()
    }
    kept(package).write_text(json.dumps(told))
    assert digests(package).keys() == before.keys()
    assert not digests(package).items() & before.items()


@pytest.mark.parametrize("text", ["", "{", "\xff"])
def test_what_was_kept_badly_is_found_again(package, text):
    before = digests(package)
    kept(package).write_text(text, encoding="latin-1")
    assert digests(package) == before
    assert json.loads(kept(package).read_text())


def test_digests_do_not_need_a_place_to_be_kept(package):
    before = digests(package)
    shutil.rmtree(package / "__pycache__")
    (package / "__pycache__").write_text("no folder")
    assert digests(package) == before


def test_what_is_kept_does_not_grow_for_ever(package):
    before = digests(package)
    older = {str(number): [[], "", []] for number in range(provenance.MOST_KEPT)}
    kept(package).write_text(json.dumps(older))
    assert digests(package) == before
    assert len(json.loads(kept(package).read_text())) == provenance.MOST_KEPT


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"dipr1\.datasets\.formats\.kiti: no such module"):
        modules_behind("convert", format="kiti")
    with pytest.raises(ValueError, match=r"dipr1\.rewards\.REWARDS: no 'acuracy' in it"):
        modules_behind("train", rewards=("acuracy",))


def test_all_versions_of_python_spell_code_alike():
    # 3.12 cuts f-strings into other parts, and has given functions a field
    code = """def spell(a, *, b=None):
        return f"a{a!r:>{b}}b" "c" f"{b=}" f'{{}}' f"{a:%H}" f"" rf"\\d{a}" "it's" '"' f"{a};"
"""
    spelled = provenance._spelled(ast.parse(code))
    assert hashlib.sha256(spelled.encode()).hexdigest().startswith("677eddd6d5984e40"), spelled


ALL_DIGESTS = """
import json
from pathlib import Path
from dipr1 import provenance

provenance.KEPT = Path("/dev/null/kept")  # each finds all by itself
files = {of: (provenance.PACKAGE / of).glob("[!_]*.py") for of in ("verbs", "datasets/formats")}
jobs = [(file.stem, {}) for file in files["verbs"]]
jobs += [("convert", {"format": file.stem}) for file in files["datasets/formats"]]
jobs += [("train", {"method": "sft", "rewards": ()})]
jobs += [("train", {"method": "grpo", "rewards": ("reasoning", "looking", "accuracy")})]
jobs += [("download", {"maker": "datasets.fetching", "sources": ("mot17",)})]
print(json.dumps({str(job): provenance.code_digest(job[0], **job[1]) for job in jobs}))
"""


def other_python(minor: int) -> str:
    """An installed Python 3.`minor`; the test is skipped where there is none."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [*map(str, versions.glob(f"3.{minor}.*/bin/python")), shutil.which(f"python3.{minor}")]
    for python in filter(None, found):
        if not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
            return python
    pytest.skip(f"no Python 3.{minor} is installed")


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_all_versions_of_python_give_the_same_digests(root, minor):
    def told_by(python: str) -> dict[str, str]:
        environment = {**os.environ, "PYTHONPATH": str(root)}
        return json.loads(subprocess.check_output([python, "-c", ALL_DIGESTS], env=environment))

    other = other_python(minor)
    digests = told_by(other)
    assert len(set(digests.values())) == len(digests) > 30
    assert digests == told_by(sys.executable)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('f"{a};"', 'f"{a}"'),
        ('f"{a}b"', 'f"{a}" + "b"'),
        ('f"{{a}}"', 'f"{a}"'),
        ('"a"', 'b"a"'),
        ("1", "True"),
        ("1", "1.0"),
        ("(a,)", "(a)"),
        ("a[1:]", "a[:1]"),
        ("{**a}", "{a: a}"),
        ("lambda a, b: 0", "lambda a, *, b: 0"),
        ("f(a, b)", "f((a, b))"),
    ],
)
def test_code_that_differs_is_spelled_differently(one, other):
    assert provenance._spelled(ast.parse(one)) != provenance._spelled(ast.parse(other))


def test_the_shipped_policy_counts_by_its_files_and_others_are_inputs():
    assert len(policy_digest("tiny")) == 16
    assert policy_digest("checkpoints/Qwen3-VL-4B") == ""


def test_options_that_differ_have_other_digests():
    assert options_digest({"a": 1, "b": None}) != options_digest({"a": 1.5, "b": None})


def test_a_folders_digest_changes_with_any_file_or_name(tmp_path):
    (tmp_path / "labels" / "a").mkdir(parents=True)
    (tmp_path / "labels" / "a" / "1.txt").write_text("x")
    digests = {file_digest(tmp_path / "labels")}
    (tmp_path / "labels" / "a" / "1.txt").write_text("y")
    digests.add(file_digest(tmp_path / "labels"))
    (tmp_path / "labels" / "a" / "1.txt").rename(tmp_path / "labels" / "a" / "2.txt")
    digests.add(file_digest(tmp_path / "labels"))
    assert len(digests) == 3
