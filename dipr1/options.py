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
from collections.abc import Collection
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from dipr1.errors import UserError


class Section(BaseModel):
    """A part of the configuration; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", validate_default=True)


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of a validation, as one line: key, value, what is allowed."""
    fault = error.errors(include_url=False)[0]
    path, section = _place(model, fault["loc"])
    key = ".".join(path) or "(top level)"
    if fault["type"] == "extra_forbidden":
        allowed = sorted(section.model_fields)
        near = difflib.get_close_matches(path[-1], allowed, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"unknown key {key!r}; {hint}allowed here: {', '.join(allowed)}"
    message = fault["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if fault["type"] == "union_tag_not_found":
        return f"{key}.{_discriminator(fault)}: field required"
    if fault["type"] == "union_tag_invalid":
        tag, expected = fault["ctx"]["tag"], fault["ctx"]["expected_tags"]
        return f"{key}.{_discriminator(fault)}: found {tag!r}; input should be {expected}"
    if fault["type"] in ("missing", "value_error"):
        return f"{key}: {message}" if path else message
    return f"{key}: found {fault['input']!r}; {message}"


def _discriminator(fault: Any) -> str:
    return fault["ctx"]["discriminator"].strip("'")


def _place(model: type[BaseModel], location: tuple) -> tuple[list[str], type[BaseModel]]:
    """The keys that lead to a fault, and the innermost section on the way.

    pydantic's location also says which member of a union it tried: that is no key.
    """
    keys, section, kind = [], model, model
    for part in location:
        if part in (tags := members(kind)):
            section = kind = tags[part]
        elif part != "[key]":
            keys.append(str(part))
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                section = kind
                kind = getattr(kind.model_fields.get(part), "annotation", None)
            else:
                kind = (get_args(kind) or (None,))[-1]
    return keys, section


def members(kind: Any) -> dict[str, type[Section]]:
    """The sections of a discriminated union by their tags; nothing is of any other type."""
    if get_origin(kind) is not Annotated:
        return {}
    union, field = get_args(kind)
    return {
        get_args(section.model_fields[field.discriminator].annotation)[0]: section
        for section in get_args(union)
    }


def add_options(parser: Any, model: type[Section], names: Collection[str] | None = None) -> None:
    """Give `parser` one flag per field of a configuration section, with its default and help.

    A field ``max_new_tokens`` becomes ``--max-new-tokens``; dictionaries are given as JSON.

    Args:
        parser: an argument parser, or a group of one.
        model: the section.
        names: its fields that get a flag; all by default.
    """
    for name in model.model_fields if names is None else names:
        field = model.model_fields[name]
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


def add_union_options(parser: argparse.ArgumentParser, union: Any) -> None:
    """The flags of every member of a discriminated union, and the one that chooses the member.

    Which flags the chosen member has is known only once they are parsed, by :func:`union_options`.
    """
    discriminator, tagged = get_args(union)[1].discriminator, members(union)
    parser.add_argument(f"--{discriminator}", required=True, choices=list(tagged))
    *others, last = tagged.values()
    common = [name for name in last.model_fields if all(name in o.model_fields for o in others)]
    add_options(parser, last, [name for name in common if name != discriminator])
    for tag, section in tagged.items():
        group = parser.add_argument_group(f"--{discriminator} {tag}", section.__doc__)
        add_options(group, section, [n for n in section.model_fields if n not in common])


def union_options(args: argparse.Namespace, union: Any) -> Any:
    """The section that the flags of :func:`add_union_options` spell.

    Raises:
        UserError: a flag is another member's, or as for :func:`options`.
    """
    discriminator, tagged = get_args(union)[1].discriminator, members(union)
    tag = vars(args)[discriminator]
    fields = tagged[tag].model_fields
    for name in (name for section in tagged.values() for name in section.model_fields):
        if name in vars(args) and name not in fields:
            allowed = ", ".join(n.replace("_", "-") for n in fields if n != discriminator)
            raise UserError(
                f"--{name.replace('_', '-')}: not an option of --{discriminator} {tag}; it has"
                f" {allowed}"
            )
    return options(args, tagged[tag])


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
