"""The command line: a verb is a module in `verbs/`, which is imported when the verb is called.

Exit codes: 0 done, 1 the input is at fault (one line says how), 2 wrong usage, 75 told to leave by
a signal: the same command goes on.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from dipr1 import __version__
from dipr1.artifacts.writing import Output
from dipr1.errors import ToBeContinued, UserError

FOLDER = Path(__file__).parent / "verbs"

ORDER = (
    "download",
    "convert",
    "describe",
    "export",
    "sample",
    "join",
    "variance",
    "audit",
    "crop",
    "gain",
    "check",
    "plan",
    "train",
    "predict",
    "inspect",
    "evaluate",
    "official",
    "report",
    "answer",
)
"""The verbs that the help lists first, in the order of the work; the others follow by name."""

VERBS = sorted(
    (path.stem for path in FOLDER.glob("[a-z]*.py")),
    key=lambda verb: (ORDER.index(verb) if verb in ORDER else len(ORDER), verb),
)

WITHOUT_RULE = ("answer", "check", "official", "plan", "provenance", "push")
"""The verbs that are no step of the workflow."""


def parser_for(verb: str | None) -> argparse.ArgumentParser:
    """The command line; only the module of `verb` is imported, and no other verb described."""
    parser = argparse.ArgumentParser(
        prog="dipr1",
        description="Teach a multimodal LLM to think, look and answer, and measure what it gains.",
        epilog="`dipr1 VERB --help` lists the flags of a verb.",
    )
    parser.add_argument("--version", action="version", version=f"dipr1 {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in VERBS:
        if verb not in (None, name):
            verbs.add_parser(name)
            continue
        text = docstring_of(name)
        summary = text.splitlines()[0].removesuffix(".")
        command = verbs.add_parser(
            name,
            help=summary[0].lower() + summary[1:],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == verb:
            module_of(name).add_arguments(command)
    return parser


def docstring_of(verb: str) -> str:
    """What a verb says of itself, read without importing what the verb needs."""
    tree = ast.parse((FOLDER / f"{verb}.py").read_text(encoding="utf-8"))
    return ast.get_docstring(tree) or verb


def module_of(verb: str):
    """The module with a verb's `add_arguments` and `run`."""
    return importlib.import_module(f"dipr1.verbs.{verb}")


def renamed(arguments: list[str]) -> list[str]:
    """The arguments in today's words: ``evaluate --protocol NAME`` is ``official NAME`` now.

    >>> renamed(["evaluate", "--output", "metrics.parquet"])
    ['evaluate', '--output', 'metrics.parquet']
    """
    old = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    old.add_argument("--protocol")
    given, rest = old.parse_known_args(arguments)
    if arguments[:1] != ["evaluate"] or given.protocol is None:
        return arguments
    print(f"dipr1 evaluate --protocol: now `dipr1 official {given.protocol}`", file=sys.stderr)
    return ["official", given.protocol, *rest[1:]]


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code.

    Args:
        arguments: the words behind `dipr1`; those of the program by default.
    """
    is_program = arguments is None
    arguments = sys.argv[1:] if arguments is None else arguments
    arguments = renamed(arguments)
    verb = next((word for word in arguments[:1] if word in VERBS), None)
    with _patient_streams():
        try:
            args = parser_for(verb).parse_args(arguments)
            check_no_input_is_an_output(args)
            args.arguments = arguments  # for a verb that starts more of itself
            with _a_program_alone() if is_program else contextlib.nullcontext():
                module_of(args.verb).run(args)
        except UserError as error:
            print(f"dipr1 {verb}: {error}", file=sys.stderr)
            return 1
        except ToBeContinued as error:
            print(f"dipr1 {verb}: {error}", file=sys.stderr)
            return error.CODE
        except ModuleNotFoundError as error:
            if error.name not in TRAIN_PACKAGES:
                raise
            print(f"dipr1 {verb}: needs {error.name}; {INSTALL}", file=sys.stderr)
            return 1
    return 0


@contextlib.contextmanager
def _a_program_alone() -> Iterator[None]:
    """What saves time where the process is nobody else's.

    What was imported stays to the end, and so does what is left then: a collector that goes through
    all of it, the last time while the program ends, takes a tenth of a second.
    """
    _arrow_without_pandas()
    gc.freeze()
    yield
    gc.freeze()


class _NoPandas:
    """A finder of modules that finds no pandas, and leaves all else to the others."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """As Python's import asks."""
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _arrow_without_pandas() -> None:
    """pyarrow imports pandas, where it is installed, before it makes its first array, to know its
    types: a fifth of a second for nothing. It asks once; what needs pandas later gets it."""
    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(_NoPandas)


TRAIN_PACKAGES = (
    "torch",
    "torchvision",
    "transformers",
    "huggingface_hub",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "tensorboard",
    "filelock",
)
INSTALL = "pip install 'dipr1[train]'"

NO_PATHS = {
    "verb",
    "format",
    "style",
    "labels",
    "ignore_labels",
    "arm",
    "dataset",
    "split",
    "title",
}
"""Arguments that may be spelled like a file without meaning it."""


def check_no_input_is_an_output(args: argparse.Namespace) -> None:
    """Check that nothing is written over what is read.

    Raises:
        UserError: a path is given as both.
    """
    given = [
        value
        for name, one in vars(args).items()
        if name not in NO_PATHS
        for value in (one if isinstance(one, list | tuple) else [one])
    ]
    paths = [value for value in given if isinstance(value, str | os.PathLike)]
    for output in (path for path in paths if isinstance(path, Output)):
        same = [path for path in paths if path is not output and _same(path, output)]
        if same:
            raise UserError(f"{output}: is given twice, to be read or written; name another")


def _same(path: str | os.PathLike, other: str | os.PathLike) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


class _PatientStream:
    """A stream that nobody may read any longer: what is printed then is lost, and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._or_nowhere():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._or_nowhere():
            self._stream.flush()

    @contextlib.contextmanager
    def _or_nowhere(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            # also what Python itself flushes at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextlib.contextmanager
def _patient_streams() -> Iterator[None]:
    """Let a reader of a pipe leave (`| head`) without costing a file or an exit code."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_PatientStream, streams)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout, sys.stderr = streams


if __name__ == "__main__":
    sys.exit(main())
