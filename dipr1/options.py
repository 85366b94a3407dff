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
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from dipr1.errors import UserError


class Section(BaseModel):
    """A part of the configuration; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", validate_default=True, defer_build=True)

    flag_names: ClassVar[dict[str, str]] = {}  # of fields whose flag is not called like the field
    without_flag: ClassVar[frozenset[str]] = frozenset()  # fields that a configuration alone has
    of_machine: ClassVar[frozenset[str]] = frozenset()  # fields that change no result, but its cost

    @classmethod
    def flag(cls, name: str) -> str:
        """The flag of a field: ``--max-new-tokens`` for ``max_new_tokens``."""
        return "--" + cls.flag_names.get(name, name).replace("_", "-")

    @classmethod
    def flagged(cls) -> list[str]:
        """The names of the fields that have a flag."""
        return [name for name in cls.model_fields if name not in cls.without_flag]


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of a validation, as one line: key, value, what is allowed."""
    key, message = first_fault(error, model)
    return f"{key}: {message}" if key else message


def first_fault(error: ValidationError, model: type[BaseModel]) -> tuple[str, str]:
    """The dotted key of a validation's first fault ("" if it is no single key's), and what it is.

    The value that was given is quoted, except where it is missing or the message says more.
    """
    fault = error.errors(include_url=False)[0]
    path, section = _place(model, fault["loc"])
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        allowed = sorted(section.model_fields)
        near = difflib.get_close_matches(path[-1], allowed, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return "", f"unknown key {key!r}; {hint}allowed here: {', '.join(allowed)}"
    message = fault["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if fault["type"] == "union_tag_not_found":
        return f"{key}.{_discriminator(fault)}", "field required"
    if fault["type"] == "union_tag_invalid":
        tag, expected = fault["ctx"]["tag"], fault["ctx"]["expected_tags"]
        return f"{key}.{_discriminator(fault)}", f"found {tag!r}; input should be {expected}"
    if fault["type"] in ("missing", "value_error"):
        return key, message
    return key, f"found {fault['input']!r}; {message}"


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


# what the help writes for a flag's value
_PLACEHOLDERS = {int: "N", float: "X", bool: "{true,false}", dict: "JSON"}


def add_options(parser: Any, model: type[Section], names: Collection[str] | None = None) -> None:
    """Give `parser` one flag per field of a section, with its default and help.

    Values are checked by :func:`options`; dictionaries are given as JSON, and a bool's flag alone
    means true.

    Args:
        parser: an argument parser, or a group of one.
        model: the section.
        names: its fields that get a flag; all by default.
    """
    for name in model.flagged() if names is None else names:
        field = model.model_fields[name]
        kind = _kind(field.annotation)
        choices = get_args(field.annotation) if kind is Literal else None
        flag = model.flag(name)
        placeholder = _PLACEHOLDERS.get(kind, flag[2:].replace("-", "_").upper())
        parser.add_argument(
            flag,
            dest=name,
            default=argparse.SUPPRESS,
            required=field.is_required(),
            choices=choices,
            nargs={list: "*", bool: "?"}.get(kind),
            const="true" if kind is bool else None,
            metavar=None if choices else placeholder,
            help=flag_help(field),
        )


def _kind(annotation: Any) -> Any:
    """What a field holds, without its type's parameters: `list` for ``list[str] | None``."""
    if get_origin(annotation) is UnionType:
        annotation = next(kind for kind in get_args(annotation) if kind is not NoneType)
    return get_origin(annotation) or annotation


def flag_help(field: Any) -> str:
    """A field's description in the style of a flag's help: no capital, no full stop."""
    text, default = field.description.removesuffix("."), field.default
    first = text.split()[0]
    if first == first.capitalize():  # no abbreviation, such as GRPO or IoU
        text = text[0].lower() + text[1:]
    if field.is_required():
        text += " (required)"
    elif default not in (None, [], {}):
        words = default if isinstance(default, list) else [default]
        shown = (str(word).lower() if isinstance(word, bool) else str(word) for word in words)
        text += f" (default {' '.join(shown)})"
    return text.replace("%", "%%")


def add_union_options(parser: argparse.ArgumentParser, union: Any) -> None:
    """The flags of every member of a discriminated union, and the one that chooses the member.

    Which flags the chosen member has is known only once they are parsed, by :func:`union_options`.
    """
    discriminator, tagged = get_args(union)[1].discriminator, members(union)
    parser.add_argument(
        f"--{discriminator}",
        required=True,
        choices=list(tagged),
        help="has flags of its own",
    )
    *others, last = tagged.values()
    common = [name for name in last.flagged() if all(name in o.flagged() for o in others)]
    add_options(parser, last, [name for name in common if name != discriminator])
    for tag, section in tagged.items():
        group = parser.add_argument_group(f"--{discriminator} {tag}", section.__doc__)
        add_options(group, section, [n for n in section.flagged() if n not in common])


def union_options(args: argparse.Namespace, union: Any) -> Any:
    """The section that the flags of :func:`add_union_options` spell.

    Raises:
        UserError: a flag is another member's, or as for :func:`options`.
    """
    discriminator, tagged = get_args(union)[1].discriminator, members(union)
    tag = vars(args)[discriminator]
    fields = tagged[tag].flagged()
    for name in (name for section in tagged.values() for name in section.flagged()):
        if name in vars(args) and name not in fields:
            allowed = ", ".join(Section.flag(other) for other in fields if other != discriminator)
            raise UserError(
                f"{Section.flag(name)}: not an option of --{discriminator} {tag}; it has {allowed}"
            )
    return options(args, tagged[tag])


def options(args: argparse.Namespace, model: type[Section]) -> Any:
    """The section that the flags of :func:`add_options` spell.

    Raises:
        UserError: a value is out of bounds; the message names the flag.
    """
    given = {name: vars(args)[name] for name in model.flagged() if name in vars(args)}
    for name, value in given.items():
        if get_origin(model.model_fields[name].annotation) is dict:
            try:
                given[name] = json.loads(value)
            except json.JSONDecodeError as error:
                raise UserError(f"{model.flag(name)}: not JSON ({error.msg}): {value}") from None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        key, message = first_fault(error, model)
        if not key and message.partition(": ")[0] in model.model_fields:
            key, _, message = message.partition(": ")  # a validator of several options names one
        raise UserError(f"{model.flag(key)}: {message}" if key else message) from None


def without(section: Section, names: Collection[str]) -> Any:
    """A copy of a section of whose options `names` are not spelled by :func:`flags`."""
    return section.model_copy(update=dict.fromkeys(names))


def flags(section: Section, model: type[Section] | None = None) -> str:
    """The flags that :func:`options` reads back as `section`, quoted for a shell.

    Args:
        section: whose values are spelled.
        model: the section's own class, or one that it inherits from, whose fields are spelled
            then.

    >>> from dipr1.policies.options import Generation, Sample
    >>> flags(Sample(num_samples=4), Generation)
    '--max-new-tokens 256 --batch-size 128'
    """
    words = []
    for name in (model or type(section)).flagged():
        value = getattr(section, name)
        if value is None:
            continue
        words.append(section.flag(name))
        if isinstance(value, dict):
            words.append(shlex.quote(json.dumps(value, sort_keys=True)))
        elif isinstance(value, list):
            words += [shlex.quote(str(item)) for item in value]
        else:
            words.append(shlex.quote(str(value)))
    return " ".join(words)
