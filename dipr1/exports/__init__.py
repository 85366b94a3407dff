"""What other programs read: every module of this folder is a format of ``dipr1 export``.

A module's docstring is its description; the first line says what is written from what. It has

- ``READS``, a literal: the artifact that it is made from;
- ``FOLDER``, a literal, True where a folder is written and not a file;
- ``write(source, output, options, **found) -> str``: `source` is the artifact's path, `output` the
  path to fill, `options` an :class:`~dipr1.exports.options.Exporting`; the text says what was
  written.

A dash in a format's name is an underscore in its module's. What is asked of a module before it is
needed is taken from its text.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

from dipr1.exports.options import Exporting

FOLDER = Path(__file__).parent
NOT_FORMATS = {"options", "questions", "suspects"}
NAMES = sorted(
    path.stem.replace("_", "-") for path in FOLDER.glob("[a-z]*.py") if path.stem not in NOT_FORMATS
)


def write(name: str, source: str, output: Path, options: Exporting) -> str:
    """Fill `output` with what the format `name` makes of an artifact.

    Returns:
        What was written, in words.

    Raises:
        UserError: the artifact is another, or has what the format cannot say.
    """
    return import_module(f"{__name__}.{_module(name)}").write(source, output, options)


def summary(name: str) -> str:
    """What is written from what.

    >>> summary("coco-results")
    'COCO detection results, from predictions.'
    """
    return (ast.get_docstring(_tree(name)) or "").splitlines()[0]


def is_folder(name: str) -> bool:
    """Whether a folder is written.

    >>> is_folder("yolo"), is_folder("swift")
    (True, False)
    """
    return bool(_literal(name, "FOLDER"))


def _literal(name: str, what: str) -> Any:
    for node in _tree(name).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == what:
            return ast.literal_eval(node.value)
    return None


def _module(name: str) -> str:
    return name.replace("-", "_")


def _tree(name: str) -> ast.Module:
    return ast.parse((FOLDER / f"{_module(name)}.py").read_text(encoding="utf-8"))
