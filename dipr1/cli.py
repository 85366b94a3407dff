"""The command line: a verb is a module in `verbs/`, which is imported when the verb is called.

Exit codes: 0 done, 1 the input is at fault (one line says how), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import sys
from pathlib import Path

from dipr1 import __version__
from dipr1.errors import UserError

FOLDER = Path(__file__).parent / "verbs"

ORDER = (
    "download",
    "convert",
    "describe",
    "export",
    "sample",
    "variance",
    "audit",
    "train",
    "predict",
    "evaluate",
    "official",
    "report",
)
"""The verbs that the help lists first, in the order of the work; the others follow by name."""

VERBS = sorted(
    (path.stem for path in FOLDER.glob("[a-z]*.py")),
    key=lambda verb: (ORDER.index(verb) if verb in ORDER else len(ORDER), verb),
)

WITHOUT_RULE = ("official", "provenance")
"""The verbs that are no step of the workflow."""


def parser_for(verb: str | None) -> argparse.ArgumentParser:
    """The command line; only the module of `verb` is imported."""
    parser = argparse.ArgumentParser(
        prog="dipr1",
        description="Teach a multimodal LLM to think, look and answer, and measure what it gains.",
        epilog="`dipr1 VERB --help` lists the flags of a verb.",
    )
    parser.add_argument("--version", action="version", version=f"dipr1 {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in VERBS:
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
    """Run one verb; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    arguments = renamed(arguments)
    verb = next((word for word in arguments if word in VERBS), None)
    args = parser_for(verb).parse_args(arguments)
    try:
        module_of(args.verb).run(args)
    except UserError as error:
        print(f"dipr1 {args.verb}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # the reader of a pipe (`| head`) has left: what it wanted is printed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
