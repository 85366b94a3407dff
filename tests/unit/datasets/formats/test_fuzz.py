"""Broken files of every format: no traceback, nothing lost, no hang.

`DIPR1_FUZZ_FILES=20000 pytest tests/unit/datasets/formats/test_fuzz.py` tries that many; a fault is
repeated by its seed, which the failure names.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from dipr1.artifacts.rejects import REJECTS
from dipr1.cli import main
from dipr1.datasets import formats
from tests.unit.mutations import mutated
from tests.unit.readings import FIXTURES

NUM_FILES = int(os.environ.get("DIPR1_FUZZ_FILES", "420"))

# What is given as --annotations, in the format's folder of fixtures; its layout where it has none.
ANNOTATIONS = {
    "caltech": ["test.json"],
    "citypersons": ["val_gt.json", "gtBboxCityPersons", "anno_val.mat"],
    "coco": ["instances.json"],
    "crowdhuman": ["train.odgt"],
    "wider": ["train_annotations.txt"],
}
CASES = [(name, path) for name in formats.NAMES for path in ANNOTATIONS.get(name, ["."])]
SECONDS = 1.0


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail where the body computes longer: a hang is told with its traceback."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s of computing")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def copied(name: str, folder: Path) -> Path:
    """The format's fixtures, where they can be broken."""
    if not (FIXTURES / name).is_dir():
        layout = import_module(f"tests.unit.datasets.formats.test_{name}").LAYOUTS[0]
        return Path(layout.write(folder / name, layout.scene(0))[0])
    shutil.copytree(FIXTURES / name, folder / name)
    if name == "citypersons":
        cells = np.empty((1, 2), object)
        rows = np.array([[1, 20, 10, 10, 20, 24, 20, 10, 10, 5], [5, 3, 4, 12, 8, 28, 0, 0, 0, 0]])
        cells[0, 0] = {"cityname": "bonn", "im_name": "bonn_1.png", "bbs": rows.astype(np.uint8)}
        cells[0, 1] = {"cityname": "bonn", "im_name": "bonn_2.png", "bbs": np.zeros((0, 10))}
        savemat(folder / name / "anno_val.mat", {"anno_val_aligned": cells})
    return folder / name


def json_records(text: str, *lists: str) -> int | None:
    """The entries of a document's lists; None where it is refused as a whole."""
    try:
        document = json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return None
    found = [document.get(name) if isinstance(document, dict) else None for name in lists]
    return sum(len(entries) if isinstance(entries, list) else 0 for entries in found)


def text_of(file: Path) -> str:
    return file.read_bytes().decode("utf-8-sig", "backslashreplace")


def num_records(name: str, path: Path) -> int | None:
    """How many images and boxes there are to read, counted without the reader; None: not known."""
    if name in ("kitti", "visdrone"):
        files = sorted(path.rglob("*.txt"))
        texts = [text_of(file) for file in files]
        lines = [line for text in texts for line in text.split("\n") if line.strip()]
        return len(files) + len(lines)
    if path.name == "gtBboxCityPersons":
        texts = [text_of(file) for file in path.rglob("*.json")]
        return sum(1 + (json_records(text, "objects") or 0) for text in texts)
    if path.suffix == ".json":
        return json_records(text_of(path), "images", "annotations")
    if name == "crowdhuman":
        lines = [line for line in text_of(path).split("\n") if line.strip(" \t\r\v\f")]
        return sum(1 + (json_records(line, "gtboxes") or 0) for line in lines)
    return None


@pytest.mark.parametrize(("name", "annotations"), CASES)
def test_a_broken_file_is_read_or_refused_in_one_line(name, annotations, tmp_path, capsys):
    folder = copied(name, tmp_path)
    targets = folder / annotations
    files = sorted(file for file in targets.rglob("*") if file.is_file()) or [targets]
    whole = {file: file.read_bytes() for file in files}
    sizes = tmp_path / "sizes.json"
    sizes.write_text(json.dumps({"a,b": [480, 640], "273271,c9db000d5146c15": [1080, 1920]}))
    command = [
        *("convert", "--format", name, "--annotations", str(targets), "--sizes", str(sizes)),
        *("--output", str(tmp_path / "a.parquet"), "--json"),
    ]
    num_read = 0
    for seed in range(NUM_FILES // len(CASES)):
        rng = random.Random(f"{name} {annotations} {seed}")
        file = rng.choice(files)
        file.write_bytes(mutated(whole[file], rng))
        box = rng.choice(formats.boxes(name))
        try:
            with at_most(SECONDS):
                code = main([*command, "--box", box])
        except BaseException as error:
            error.add_note(f"seed {seed} of {name}: {file.read_bytes()[:2000]!r}")
            raise
        printed = capsys.readouterr()
        if printed.out:
            counts = json.loads(printed.out)
            rejected = REJECTS.read(tmp_path / "a.rejects.parquet")
            assert counts["rows"]["rejected"] == rejected.num_rows, f"seed {seed}"
            assert counts["rows"]["read"] == num_records(name, targets) or (
                num_records(name, targets) is None
            ), f"seed {seed}"
            num_read += 1
        assert code == 0 or printed.err.count("\n") == 1, f"seed {seed}: {printed.err}"
        file.write_bytes(whole[file])
    assert num_read
