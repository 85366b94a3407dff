"""One command per verb; a verb's module is imported only when it is called.

Exit codes: 0 done, 1 the input is at fault (one line says how), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from dipr1 import __version__
from dipr1.errors import UserError

if TYPE_CHECKING:
    from dipr1.config import Section

VERBS = {
    "download": ("dipr1.datasets.download", "fetch a data set, check local data, or draw scenes"),
    "convert": ("dipr1.datasets.convert", "turn detection annotations into grounded prompts"),
    "describe": ("dipr1.describe", "tell what is in a set of annotations"),
    "export": ("dipr1.datasets.export", "write annotations as COCO JSON"),
    "pretrain": ("dipr1.policies.pretrain", "build the embedded tiny policy from nothing"),
    "sample": ("dipr1.policies.sample", "sample responses of the base policy"),
    "variance": ("dipr1.variance", "measure how much the sampled boxes vary"),
    "train": ("dipr1.training.train", "train one arm"),
    "predict": ("dipr1.policies.predict", "answer every prompt once, greedily"),
    "evaluate": ("dipr1.metrics.evaluate", "score predictions against annotations"),
    "report": ("dipr1.report.build", "write the page that compares the arms"),
}


def parser_for(verb: str | None) -> argparse.ArgumentParser:
    """The command line; only the module of `verb` is imported."""
    parser = argparse.ArgumentParser(prog="dipr1", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"dipr1 {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (module, summary) in VERBS.items():
        command = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:])
        if name == verb:
            importlib.import_module(module).add_arguments(command)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    verb = next((word for word in arguments if word in VERBS), None)
    args = parser_for(verb).parse_args(arguments)
    try:
        importlib.import_module(VERBS[args.verb][0]).run(args)
    except UserError as error:
        print(f"dipr1 {args.verb}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # the reader of a pipe (`| head`) has left: what it wanted is printed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def add_options(parser: argparse.ArgumentParser, model: type[Section]) -> None:
    """Give `parser` one flag per field of a configuration section, with its default and help.

    A field ``max_new_tokens`` becomes ``--max-new-tokens``; dictionaries are given as JSON.
    """
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"default {field.default!r}"
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else None
        parser.add_argument(
            "--" + name.replace("_", "-"),
            dest=name,
            default=argparse.SUPPRESS,
            required=field.is_required(),
            choices=choices,
            nargs="+" if get_origin(field.annotation) is list else None,
            metavar=None if choices else name.upper(),
            help=f"{field.description} ({default})".replace("%", "%%"),
        )


def options(args: argparse.Namespace, model: type[Section]) -> Any:
    """The section that the flags of :func:`add_options` spell.

    Raises:
        UserError: a value is out of bounds; the message names the flag.
    """
    from pydantic import ValidationError

    from dipr1.config import explain

    given = {name: vars(args)[name] for name in model.model_fields if name in vars(args)}
    for name, value in given.items():
        if get_origin(model.model_fields[name].annotation) is dict:
            try:
                given[name] = json.loads(value)
            except json.JSONDecodeError as error:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag}: not JSON ({error.msg}): {value}") from None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        key, colon, rest = explain(error, model).partition(":")
        raise UserError("--" + key.replace("_", "-") + colon + rest) from None


def flags(section: Section) -> str:
    """The flags that :func:`options` reads back as `section`, quoted for a shell.

    >>> from dipr1.config import Variance
    >>> flags(Variance(v0=0.02))
    '--match-iou 0.5 --v0 0.02 --audit-rows 1000'
    """
    import shlex

    words = []
    for name, value in section.model_dump().items():
        if value is None or value == []:
            continue
        words.append("--" + name.replace("_", "-"))
        if isinstance(value, dict):
            words.append(shlex.quote(json.dumps(value, sort_keys=True)))
        elif isinstance(value, list):
            words += [shlex.quote(str(item)) for item in value]
        else:
            words.append(shlex.quote(str(value)))
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main())
