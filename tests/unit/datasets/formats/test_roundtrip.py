"""Every format: random annotations, written as the data set's makers write them, are read back."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from dipr1.datasets import formats
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import HEIGHT, WIDTH, every_layout
from tests.unit.readings import ReadBox, boxes_of, rejects

SEEDS = range(5)
LAYOUTS = every_layout()


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_written_is_read_back(name, seed, tmp_path):
    kind, layout = LAYOUTS[name]
    scene = layout.scene(seed)
    annotations, images = layout.write(tmp_path / "data", scene)
    reading = formats.read(kind, annotations, images)

    assert {image.image_id for image in reading.images} == set(scene)
    expected = Counter(
        ReadBox(image_id, thing.xyxy, thing.label, thing.ignore, thing.visibility)
        for image_id, things in scene.items()
        for thing in things
    )
    assert Counter(boxes_of(reading)) == expected
    assert rejects(reading, size=(WIDTH, HEIGHT)) == []


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_rejected_box_is_told_by_its_own_record(name, tmp_path):
    kind, layout = LAYOUTS[name]
    scene = layout.scene(seed=7)
    annotations, images = layout.write(tmp_path / "data", scene)
    reading = formats.read(kind, annotations, images)
    rows = rejects(reading, size=(1, 1))
    outside = [thing for things in scene.values() for thing in things if max(thing.xywh[:2]) >= 1]
    assert len(rows) == len(outside) > 0
    texts = [{float(word) for word in re.findall(r"\d+(?:\.\d+)?", row[3])} for row in rows]
    for thing in outside:  # its sizes or its far corner are in the text, as the format has it
        assert any(text >= {*thing.xywh[2:]} or text >= {*thing.xyxy[2:]} for text in texts)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_files_give_rejects_or_one_error(name, seed, tmp_path):
    (kind, layout), rng = LAYOUTS[name], random.Random(seed)
    annotations, images = layout.write(tmp_path / "data", layout.scene(seed))
    for path in sorted(file for file in Path(tmp_path).rglob("*") if file.is_file()):
        damage(path, rng)
    try:
        reading = formats.read(kind, annotations, images)
    except UserError as error:
        assert str(error).count("\n") == 0
    else:
        rejects(reading)  # which checks that nothing is lost


def damage(path: Path, rng: random.Random) -> None:
    """Overwrite, insert or cut some bytes; MATLAB files are only cut: others may crash SciPy."""
    content = bytearray(path.read_bytes())
    for _ in range(0 if content.startswith(b"MATLAB") else rng.randrange(4)):
        start = rng.randrange(len(content) + 1)
        end = start + rng.choice((0, 1, 1, 7))
        content[start:end] = rng.choice((b"", b"-", b"\xff", b"nan", b"1e999", b"{", b"\0\n"))
    path.write_bytes(content[: rng.choice((None, None, None, len(content) // 2))])
