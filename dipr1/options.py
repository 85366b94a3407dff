"""Sections of options: checked where they are written, spelled as flags, explained in one line.

Every room of the project owns a section (``datasets/options.py``, ``training/options.py``, ...):
the only place that knows an option's default, bounds and meaning. :mod:`dipr1.config` puts them
together; the verbs take the same sections as flags.
"""

from __future__ import annotations

import argparse
import difflib
import json
import shlex
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from dipr1.errors import UserError


class Section(BaseModel):
    """A part of the configuration; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", validate_default=True)


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of a validation, as one line: key, value, what is allowed."""
    fault = error.errors(include_url=False)[0]
    path = [str(part) for part in fault["loc"] if part != "[key]"]
    key = ".".join(path) or "(top level)"
    if fault["type"] == "extra_forbidden":
        allowed = sorted(_fields_at(model, path[:-1]))
        near = difflib.get_close_matches(path[-1], allowed, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"unknown key {key!r}; {hint}allowed here: {', '.join(allowed)}"
    message = fault["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if fault["type"] in ("missing", "value_error"):
        return f"{key}: {message}" if path else message
    return f"{key}: found {fault['input']!r}; {message}"


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the model that `path` leads to, through dictionaries too."""
    for part in path:
        if part in model.model_fields:
            annotation = model.model_fields[part].annotation
            inner = getattr(annotation, "__args__", (annotation,))[-1]
            model = inner if isinstance(inner, type) else model
    return list(model.model_fields)


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
    '--match-iou 0.5 --v0 0.02'
    """
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
