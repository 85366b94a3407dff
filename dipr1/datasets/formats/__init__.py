"""Annotation formats: every module of this folder is one, under its own name.

A module's docstring is its description: the first line says which files are expected, and all of
it is the format's section in ``docs/datasets.md``. The module has

- ``read(annotations, images=None) -> Reading``: `annotations` is the path of a file or folder,
  `images` the folder of the images, or None where only their names are known (paths are then bare
  file names, and sizes come from the format or from a table). Files that are not of the format as a
  whole are a UserError; a fault of one record becomes a reject and the rest is read.
- ``LABELS``, unless the files name their own;
- ``BOXES``, a literal whose items or keys are kinds of boxes, where an object has several: `read`
  then takes ``box="full"`` besides.

:mod:`dipr1.datasets.reading` has the parts that readers share. A module is imported when its
format is read; what is asked of it before is taken from its text.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from dipr1.errors import UserError

if TYPE_CHECKING:
    from dipr1.datasets.reading import Reading

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
FULL = "full"


def read(name: str, annotations: str, images: str | None = None, box: str = FULL) -> Reading:
    """Read a data set of the format `name`.

    Raises:
        UserError: the format has no such boxes, or the files are not of it.
    """
    kinds = boxes(name)
    if box not in kinds:
        raise UserError(f"--box: {no_such_box(name, box, kinds)}")
    variant = {"box": box} if len(kinds) > 1 else {}
    return import_module(f"{__name__}.{name}").read(annotations, images, **variant)


def no_such_box(name: str, box: str, kinds: Sequence[str]) -> str:
    """Why the format `name` cannot be asked for this box."""
    return f"format {name} has no {box} boxes; it has {', '.join(kinds)}"


def summary(name: str) -> str:
    """Which files a format expects.

    >>> summary("kitti")
    'KITTI: folder `label_2` with one text file per image.'
    """
    # not parsed: of all formats that would take longer than to convert a small set
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    return next(iter(text.removeprefix('"""').splitlines()), "").removesuffix('"""')


def boxes(name: str) -> tuple[str, ...]:
    """Which of an object's boxes a format has.

    >>> boxes("crowdhuman"), boxes("coco")
    (('full', 'visible', 'head'), ('full',))
    """
    for node in _tree(name).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BOXES":
            return tuple(ast.literal_eval(node.value))
    return (FULL,)


def _tree(name: str) -> ast.Module:
    return ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
