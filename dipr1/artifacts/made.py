"""What an artifact is and what it was made from, as it says itself.

The record is canonical JSON: under the key ``dipr1`` of a Parquet file's metadata, and in the file
``dipr1.json`` of a folder (a download, a policy). In it paths are relative to the folder of the
artifact, so that the same inputs give the same bytes wherever the tree lies; here they hold from
the working directory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dipr1.errors import UserError
from dipr1.provenance import code_digest, file_digest, options_digest

KEY = b"dipr1"
FILE = "dipr1.json"
SHIPPED = "tiny"  # the policy that comes with dipr1, wherever that is installed
CARD = "README.md"
FOR_READERS = {CARD, "completions.parquet"}  # of a policy's files, those of which no answer depends
POLICY_FILES = ("config.json", "adapter_config.json")  # one of them is in a policy's folder
LARGE = 64 << 20  # bytes: a policy's larger files count by their size alone


@dataclass(frozen=True)
class Input:
    """A file or folder that something was made from.

    Attributes:
        path: where it lies, or the name of the shipped policy.
        sha256: of its contents (:func:`content_digest`).
        artifact: what it is; None where it does not say.
    """

    path: str
    sha256: str
    artifact: str | None = None


@dataclass(frozen=True)
class Made:
    """What an artifact is and what it was made from; None is what does not apply or is not known.

    Attributes:
        artifact, version: its kind and the version of the kind's schema.
        verb, code: what made it, and the digest of that verb's code.
        options, configuration: what the verb was told, and the digest of it.
        dataset, split, arm, seed: what it is about.
        inputs: what the verb read.
    """

    artifact: str | None = None
    version: int | None = None
    verb: str | None = None
    code: str | None = None
    options: Mapping[str, Any] | None = None
    configuration: str | None = None
    dataset: str | None = None
    split: str | None = None
    arm: str | None = None
    seed: int | None = None
    inputs: Sequence[Input] = ()

    def record(self, folder: str | os.PathLike) -> dict[str, Any]:
        """The JSON-ready record of an artifact that lies in `folder`, without what is None."""
        inputs = [
            _without_none(vars(one) | {"path": relative(one.path, folder)}) for one in self.inputs
        ]
        return _without_none(vars(self) | {"inputs": inputs})

    def identity(self, *without: str) -> dict[str, Any]:
        """What differs wherever the artifact may differ, by name and JSON-ready.

        Args:
            without: names of options that cannot change the artifact.
        """
        options = {name: value for name, value in self.options.items() if name not in without}
        inputs = {one.artifact or Path(one.path).name: one.sha256 for one in self.inputs}
        record = vars(self) | {"options": options, "inputs": inputs, "configuration": None}
        return _without_none(record)


def made_by(
    verb: str,
    options: Mapping[str, Any],
    inputs: Sequence[str | os.PathLike | Input | None],
    *,
    code: Mapping[str, str] | None = None,
    **about: Any,
) -> Made:
    """What is to be written into the artifacts that a verb makes.

    Args:
        verb: its name.
        options: all that it was told that can change the artifact, but for paths.
        inputs: what it reads; None is left out. Paths must agree on the data set and the split.
        code: see :func:`dipr1.provenance.code_digest`.
        about: arm and seed; data set and split, where not those of the inputs.

    Raises:
        UserError: the inputs are of different data sets or splits.
    """
    paths = [one for one in inputs if isinstance(one, str | os.PathLike)]
    known = {os.fspath(path): read_made(path) for path in paths}
    shared = {name: _agreed(name, known) for name in ("dataset", "split")}
    return Made(
        verb=verb,
        code=code_digest(verb, **(code or {})),
        options=options,
        configuration=options_digest(options),
        inputs=(
            *map(input_of, paths),
            *(one for one in inputs if isinstance(one, Input)),
        ),
        **shared | _without_none(about),
    )


def input_of(path: str | os.PathLike) -> Input:
    """A file or folder as it is now."""
    return Input(os.fspath(path), content_digest(path), read_made(path).artifact)


def read_made(path: str | os.PathLike, *needed: str) -> Made:
    """What a file or folder says of itself; nothing where another tool made it.

    Args:
        path: an artifact, a download's folder, a policy's folder, or anything else.
        needed: names of attributes that must be known.

    Raises:
        UserError: there is no such file, its record is damaged, or what is needed is not known.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    try:
        record = json.loads(_text(path))
        inputs = [Input(**one) for one in record.pop("inputs", ())]
        made = Made(
            **record,
            inputs=tuple(replace(one, path=from_here(one.path, folder)) for one in inputs),
        )
    except (ValueError, TypeError, AttributeError):
        raise UserError(f"{path}: its record of what made it is damaged; make it again") from None
    for name in needed:
        if getattr(made, name) is None:
            raise UserError(
                f"{path}: does not say its {name}; make it again (`dipr1 convert` takes --dataset"
                " and --split, `dipr1 predict` --arm and --seed)"
            )
    return made


def arm_of(path: str | os.PathLike) -> tuple[str, int]:
    """The arm and seed that a file says it is about."""
    made = read_made(path, "arm", "seed")
    return made.arm, made.seed


def set_of(path: str | os.PathLike) -> str:
    """The `dataset.split` that a file says it is about."""
    made = read_made(path, "dataset", "split")
    return f"{made.dataset}.{made.split}"


def run_of(path: str | os.PathLike) -> tuple[str, int, str]:
    """Arm, seed and `dataset.split` that a file says it is about."""
    return *arm_of(path), set_of(path)


def write_made(folder: Path, artifact: str, made: Made) -> None:
    """Let a folder say what it is and what it was made from."""
    record = replace(made, artifact=artifact, version=1).record(folder)
    text = json.dumps(record, indent=2, sort_keys=True) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")


def content_digest(path: str | os.PathLike) -> str:
    """SHA-256 in hexadecimal of a file or a folder, cheap where the folder is a download or policy.

    A download counts by its ``source.json``, which holds the digest of the annotations; a policy by
    the files at its top, of which the large ones count by name and size, but not what people read.
    """
    path = Path(path)
    if (path / "source.json").is_file():
        return file_digest(path / "source.json")
    if not any((path / name).is_file() for name in POLICY_FILES):
        return file_digest(path)
    files = sorted(one for one in path.iterdir() if one.is_file() and _counts(one.name))
    sizes = [one.stat().st_size for one in files]
    marks = [
        f"{one.name}\0{size if size > LARGE else file_digest(one)}\0"
        for one, size in zip(files, sizes, strict=True)
    ]
    return hashlib.sha256("".join(marks).encode()).hexdigest()


def policy_sums(folder: Path) -> str:
    """SHA-256 of all files of a policy on which an answer depends, as ``sha256sum`` writes them."""
    files = sorted(one for one in folder.iterdir() if one.is_file() and _counts(one.name))
    sums = [f"{file_digest(one)}  {folder.name}/{one.name}\n" for one in files]
    return "".join(["# made by dipr1; to check: sha256sum -c\n", *sums])


def _counts(name: str) -> bool:
    return name[0] != "." and name not in FOR_READERS


def _agreed(name: str, known: Mapping[str, Made]) -> str | None:
    """What those inputs that know their `name` agree on."""
    path_of = {getattr(made, name): path for path, made in known.items()}
    path_of.pop(None, None)
    if len(path_of) > 1:
        (one, its_path), (other, other_path), *_ = path_of.items()
        raise UserError(
            f"{other_path}: is of {name} {other!r} but {its_path} is of {one!r};"
            " give files of the same data set and split"
        )
    return next(iter(path_of), None)


def _text(path: Path) -> str | bytes:
    """The record as it is written; an empty one where there is none."""
    try:
        if path.is_dir():
            return (path / FILE).read_text(encoding="utf-8") if (path / FILE).exists() else "{}"
        return (pq.read_schema(path).metadata or {}).get(KEY, "{}")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, OSError):
        return "{}"  # no Parquet file


def relative(path: str, folder: str | os.PathLike) -> str:
    """A path as it is written into a record in `folder`; the shipped policy's name stays."""
    return path if path == SHIPPED else Path(os.path.relpath(path, folder)).as_posix()


def from_here(path: str, folder: Path) -> str:
    """A path of a record in `folder`, from the working directory."""
    return path if path == SHIPPED else os.path.normpath(folder / path)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
