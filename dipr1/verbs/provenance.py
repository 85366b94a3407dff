"""Tell what a file was made from, back to the downloads."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from dipr1.artifacts.made import SHIPPED, Input, Made, content_digest, read_made
from dipr1.errors import UserError
from dipr1.provenance import CHECKPOINT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``dipr1 provenance``."""
    parser.add_argument("file", metavar="FILE", help="an artifact, or the folder of a policy")
    parser.add_argument("--json", action="store_true", help="print the steps as JSON")


def run(args: argparse.Namespace) -> None:
    """Print every step from the file back to the downloads.

    Raises:
        UserError: there is no such file, or it does not say what it was made from.
    """
    steps = list(steps_to(args.file))
    if args.json:
        print(json.dumps([step.as_dict() for step in steps], indent=2, ensure_ascii=False))
        return
    print("\n\n".join(step.as_text() for step in steps))
    states = [state for step in steps for state in step.states]
    gone, changed = states.count("gone"), states.count("changed")
    if gone or changed:
        print(f"\ninputs that are gone: {gone}, that have changed since: {changed}")


@dataclass(frozen=True)
class Step:
    """One artifact on the way.

    Attributes:
        path: where it lies.
        made: what it says of itself.
        states: of each of its inputs: "as read", "changed" or "gone".
    """

    path: str
    made: Made
    states: list[str]

    def as_dict(self) -> dict:
        """JSON-ready; paths are those from the working directory."""
        record = self.made.record(os.curdir)
        for one, state in zip(record["inputs"], self.states, strict=True):
            one["state"] = state
        return {"path": self.path} | record

    def as_text(self) -> str:
        """A few lines."""
        made = self.made
        where = ".".join(filter(None, (made.dataset, made.split)))
        names = {"of": where or None, "by arm": made.arm, "seed": made.seed}
        known = [f" {word} {name}" for word, name in names.items() if name is not None]
        lines = [
            self.path,
            f"  {made.artifact}{''.join(known)}",
            f"  made by {made.verb}, code {made.code}, options {made.configuration}",
        ]
        for one, state in zip(made.inputs, self.states, strict=True):
            note = "" if state == "as read" else f": {state.upper()}"
            lines.append(f"  from {one.path} ({one.artifact or 'no artifact of ours'}){note}")
        return "\n".join(lines)


def steps_to(path: str) -> Iterator[Step]:
    """What made `path`, what made its inputs, and so on; each file once."""
    waiting, seen = [os.path.normpath(path)], set()
    if read_made(path).verb is None:
        raise UserError(f"{path}: does not say what it was made from; another tool wrote it")
    while waiting:
        here = waiting.pop(0)
        if here in seen or here == SHIPPED or not os.path.exists(here):
            continue
        seen.add(here)
        made = read_made(here)
        if made.verb is not None:
            yield Step(here, made, [_state(one) for one in made.inputs])
            waiting += [one.path for one in made.inputs]


def _state(one: Input) -> str:
    """What has become of an input."""
    path = CHECKPOINT if one.path == SHIPPED else one.path
    if not os.path.exists(path):
        return "gone"
    return "as read" if content_digest(path) == one.sha256 else "changed"
