"""A trained policy on the Hugging Face hub, or on what `HF_ENDPOINT` names: its files and its card.

The card is that of the policy's folder, with what is known only now: its metrics with their
intervals, in words and as the hub's `model-index`, its licence and what the hub calls its base.
What holds paths of the machine that it was trained on is rewritten or stays where it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dipr1.artifacts.comparison import COMPARISON
from dipr1.artifacts.made import FILE as RECORD
from dipr1.artifacts.made import SHIPPED, read_made
from dipr1.errors import UserError
from dipr1.evaluation.catalogue import METRICS
from dipr1.evaluation.comparison import Compared
from dipr1.policies.adapters import BASE, CONFIG, base_of, is_adapter
from dipr1.report.exports import PRINTED, markdown
from dipr1.training.card import FILE, FOLDER_LINE, METRICS_LINE, card, hub_name

PUSHED = (".jinja", ".json", ".model", ".safetensors", ".txt")
"""Suffixes of the files that are pushed: no logs, and no pictures or answers of the training."""


def card_of(folder: Path) -> str:
    """The card in a policy's folder, or a new one where it has none.

    Raises:
        UserError: it has none, and the folder does not say what it was made from.
    """
    path = folder / FILE
    return path.read_text(encoding="utf-8") if path.is_file() else card(folder)


def measured(comparison: Path, arm: str) -> list[Compared]:
    """What a comparison says of an arm: in one view and looking again, alone and with differences.

    Raises:
        UserError: it says nothing of it, or is no comparison.
    """
    rows = [Compared(**row) for row in COMPARISON.read(comparison).to_pylist()]
    own = [row for row in rows if row.arm.split("+")[0] == arm]
    if not own:
        known = ", ".join(dict.fromkeys(row.arm for row in rows))
        raise UserError(f"{comparison}: has no arm {arm!r}, which the policy is; found {known}")
    # the values of what it is compared with stand beside its own
    baselines = {row.baseline for row in own}
    return [row for row in rows if row in own or (row.arm in baselines and row.baseline is None)]


def published_card(
    folder: Path, repository: str, rows: list[Compared], about: dict[str, str]
) -> str:
    """The card of a policy's folder with what is known when it is published.

    Args:
        folder: of the policy.
        repository: `ORG/NAME`.
        rows: of :func:`measured`.
        about: more front matter: `base_model`, `license`.

    Raises:
        UserError: there is no card and none can be made, or its front matter is no YAML.
    """
    made = read_made(folder, "arm", "seed")
    front, body = _parted(card_of(folder), folder / FILE)
    front |= about
    body = body.replace(FOLDER_LINE, _download(folder, repository, front.get("base_model")))
    if rows:
        front["model-index"] = [_index(repository, rows, made.arm)]
        ours = f"Here is seed {made.seed} of the arm `{made.arm}`."
        body = body.replace(METRICS_LINE, f"{ours}\n\n{markdown(rows)}".rstrip())
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n{body}"


def pushed_files(folder: Path, base: str | None) -> Iterator[tuple[str, Path | bytes]]:
    """The files to push but for the card, by name: as they lie, or what is in their place.

    Args:
        folder: of the policy.
        base: `ORG/NAME` of an adapter's base.

    Raises:
        UserError: an adapter's base is not known by a name that others can load.
    """
    adapter = is_adapter(folder)
    base = _base_of_adapter(folder, base) if adapter else None
    for path in sorted(folder.iterdir()):
        if path.name == RECORD:
            yield path.name, _json_with(path, inputs=_names_of_inputs(folder))
        elif adapter and path.name == CONFIG:
            yield path.name, _json_with(path, base_model_name_or_path=base)
        elif adapter and path.name == BASE:
            there = base if base == SHIPPED else f"../{Path(base).name}"
            yield path.name, _json_with(path, policy=there)
        elif path.suffix in PUSHED and path.is_file():
            yield path.name, path


def push(repository: str, files: dict[str, Path | bytes], *, private: bool) -> str:
    """Make the repository where there is none, and commit files to it.

    Returns:
        Where it can be seen.

    Raises:
        UserError: nobody is logged in, the hub refuses it, or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token
    from huggingface_hub.errors import HTTPError

    api = HfApi(library_name="dipr1")
    if get_token() is None:
        raise UserError(f"not logged in to {api.endpoint}; run `hf auth login`, or set HF_TOKEN")
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    try:
        url = api.create_repo(repository, private=private or None, exist_ok=True)
        api.create_commit(repository, operations, commit_message="Push a policy of dipr1")
    except (HTTPError, OSError, ValueError, RuntimeError) as error:
        why, *_ = " ".join(str(error.__cause__ or error).split()).split(" For more information")
        raise UserError(f"{repository}: {api.endpoint} did not take it ({why:.200})") from None
    return str(url)


def _parted(text: str, path: Path) -> tuple[dict[str, Any], str]:
    """Front matter and body of a card."""
    head, begin, rest = text.partition("---\n")
    front, end, body = rest.partition("\n---\n")
    try:
        content = yaml.safe_load(front)
    except yaml.YAMLError:
        content = None
    if head or not begin or not end or not isinstance(content, dict):
        raise UserError(
            f"{path}: does not begin with YAML between two lines `---`; mend it, or move it away"
            " and a new card is written"
        )
    return content, body


def _download(folder: Path, repository: str, base: str | None) -> str:
    """The lines of the card that get the policy, and of an adapter its base."""
    name = Path(repository).name
    lines = ["from huggingface_hub import snapshot_download", ""]
    lines.append(f'folder = snapshot_download("{repository}", local_dir="{name}")')
    if is_adapter(folder) and base:
        where = f'local_dir="{Path(base).name}"'
        lines.append(f'snapshot_download("{base}", {where})  # an adapter looks for it there')
    return "\n".join(lines)


def _index(repository: str, rows: list[Compared], arm: str) -> dict[str, Any]:
    """The hub's `model-index`: per set and way of looking the printed metrics."""
    results = []
    for key in dict.fromkeys((row.set, row.arm) for row in rows):
        alone = [row for row in rows if (row.set, row.arm) == key and row.baseline is None]
        metrics = [_metric(row) for row in alone if row.metric in PRINTED and row.value is not None]
        if key[1].split("+")[0] == arm and metrics:
            name, _, split = key[0].partition(".")
            results.append(
                {
                    "task": {"type": "object-detection", "name": f"arm {key[1]}"},
                    "dataset": {"type": name, "name": key[0], "split": split},
                    "metrics": metrics,
                }
            )
    return {"name": Path(repository).name, "results": results}


def _metric(row: Compared) -> dict[str, Any]:
    name = METRICS[row.metric].title
    if row.low is not None and row.high is not None:
        name += f" (95 % interval {row.low:.3f} to {row.high:.3f})"
    return {"type": row.metric, "name": name, "value": round(row.value, 4)}


def _base_of_adapter(folder: Path, base: str | None) -> str:
    """What an adapter's base is called where others look for it."""
    named, _ = base_of(folder)
    known = SHIPPED if named == SHIPPED else base or hub_name(named)
    if known is None:
        raise UserError(
            f"{folder}: is an adapter of {named}, which others have not; say what the hub calls it"
            " with --base ORG/NAME, or push one checkpoint: `dipr1 export --merge`"
        )
    return known


def _names_of_inputs(folder: Path) -> list[dict[str, Any]]:
    """The inputs of a policy's record without the folders that they lay in."""
    inputs = json.loads((folder / RECORD).read_text(encoding="utf-8")).get("inputs", [])
    return [one | {"path": Path(one["path"]).name} for one in inputs]


def _json_with(path: Path, **values: Any) -> bytes:
    """A JSON file with other values."""
    content = json.loads(path.read_text(encoding="utf-8")) | values
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()
