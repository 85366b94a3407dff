"""What a result is made from: digests of code, of options and of files.

The rules keep :func:`code_digest` among a job's parameters, so that Snakemake repeats a job where
an edit can change its output, and only there. A job uses one format, one method of training, one
kind of rollouts, one engine, one known data set and some of the rewards, all chosen by name: of
these, only the chosen ones count.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
CHECKPOINT = PACKAGE / "demo" / "checkpoint"

# What these hold reaches a job through its flags, or can change nothing but what is printed, or
# read by people (a policy's card). The package itself holds the version.
UNFOLLOWED = {
    "dipr1",
    *(
        f"dipr1.{name}"
        for name in ("cli", "config", "errors", "gpus", "options", "progress", "provenance")
    ),
    "dipr1.training.card",
}
# what is imported by its name
BY_NAME = {
    "engine": "dipr1.policies.engines.{}",
    "exported": "dipr1.exports.{}",
    "format": "dipr1.datasets.formats.{}",
    "generation": "dipr1.training.{}",
    "maker": "dipr1.{}",
    "method": "dipr1.training.{}",
    "rollouts": "dipr1.training.{}",
}
# what is an item of a dictionary: of the dictionary's module, only what the item uses counts
BY_KEY = {
    "rewards": ("dipr1.rewards", "REWARDS"),
    "sources": ("dipr1.datasets.sources", "SOURCES"),
}
ASSETS = (".css", ".j2", ".js")
# beside Python's own: what was found in modules, by the digest of their text
KEPT = PACKAGE / "__pycache__" / "provenance.json"
MOST_KEPT = 600  # modules, some in texts they had before
_new: list[str] = []


@cache
def code_digest(verb: str, **chosen: str | tuple[str, ...]) -> str:
    """16 hexadecimal digits of the code that can change what a verb writes.

    It does not depend on comments, docstrings and layout, nor on the version of Python.

    Args:
        verb: its module in `dipr1/verbs/`, from which our own imports are followed.
        chosen: what a job uses by name: one of each kind of `BY_NAME`, a tuple of keys of each
            kind of `BY_KEY`.
    """
    parts = [f"{module}\0{_code(module)}" for module in modules_behind(verb, **chosen)]
    parts += map(_spelled, _chosen_code(chosen))
    _keep()
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def modules_behind(verb: str, **chosen: str | tuple[str, ...]) -> list[str]:
    """Our own modules that can change what a verb writes, sorted.

    Raises:
        ValueError: a module or an item that is chosen does not exist.

    >>> modules_behind("export")[-1]
    'dipr1.verbs.export'
    """
    waiting = [f"dipr1.verbs.{verb}"]
    waiting += [BY_NAME[kind].format(name) for kind, name in chosen.items() if kind in BY_NAME]
    for module in waiting:
        if _file(module) is None:
            raise ValueError(f"{module}: no such module")
    waiting += _imported(itertools.chain.from_iterable(map(ast.walk, _chosen_code(chosen))))
    behind, left_out = set(), {BY_KEY[kind][0] for kind in BY_KEY.keys() & chosen}
    while waiting:
        module = waiting.pop()
        if module not in behind | left_out and _counts(module):
            behind.add(module)
            waiting += _imports(module)
    return sorted(behind)


@cache
def policy_digest(model: str) -> str:
    """Digest of the shipped policy's files for ``tiny``, so that new weights are sampled anew.

    The files of any other policy are inputs of the jobs that read it.
    """
    return file_digest(CHECKPOINT)[:16] if model == "tiny" else ""


def options_digest(options: Mapping) -> str:
    """16 hexadecimal digits of values, whatever the order of their names.

    >>> options_digest({"a": 1, "b": [2]}) == options_digest({"b": [2], "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]


def file_digest(path: str | Path) -> str:
    """SHA-256 in hexadecimal of a file, or of the names and contents of the files in a folder."""
    if Path(path).is_dir():
        whole = hashlib.sha256()
        for file in sorted(file for file in Path(path).rglob("*") if file.is_file()):
            name = file.relative_to(path).as_posix()
            whole.update(f"{name}\0{file_digest(file)}\0".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _chosen_code(chosen: Mapping[str, str | tuple[str, ...]]) -> list[ast.AST]:
    """The items of dictionaries that are chosen, with the statements of their modules they use."""
    code = []
    for kind in sorted(BY_KEY.keys() & chosen):
        module, name = BY_KEY[kind]
        statements = _statements(module)
        written = statements[name].value
        items = dict(zip(map(ast.literal_eval, written.keys), written.values, strict=True))
        # what a running program has added to the dictionary is no code of ours
        added = getattr(sys.modules.get(module), name, {})
        if unknown := set(chosen[kind]) - set(items) - set(added):
            raise ValueError(f"{module}.{name}: no {min(unknown)!r} in it")
        code += _used([items[key] for key in chosen[kind] if key in items], statements)
    return code


def _used(nodes: list[ast.AST], statements: Mapping[str, ast.stmt]) -> list[ast.AST]:
    """`nodes` with the statements that they use by name, however far."""
    used = list(nodes)
    for node in used:  # the list grows on the way
        for inner in ast.walk(node):
            statement = statements.get(inner.id) if isinstance(inner, ast.Name) else None
            if statement is not None and statement not in used:
                used.append(statement)
    return used


def _statements(module: str) -> dict[str, ast.stmt]:
    """What defines or imports each name at the top of a module."""
    statements = {}
    for node in _tree(module).body:
        targets = getattr(node, "targets", [getattr(node, "target", node)])
        names = [alias.asname or alias.name for alias in getattr(node, "names", [])]
        names += [getattr(target, "id", getattr(target, "name", None)) for target in targets]
        statements |= dict.fromkeys(names, node)
    return statements


def _counts(module: str) -> bool:
    """Whether `module` is one of ours whose code can change an output."""
    section = module.startswith("dipr1.") and module.endswith(".options")
    return not section and module not in UNFOLLOWED and _file(module) is not None


@cache
def _file(module: str) -> Path | None:
    """The file of one of our modules; None where `module` is none."""
    package, *inner = module.split(".")
    if package != "dipr1":
        return None
    path = PACKAGE.joinpath(*inner)
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_file(module).read_text(encoding="utf-8"))


def _imports(module: str) -> list[str]:
    """Names that a module imports, at its top or in a function."""
    return _found(module)[0]


def _imported(nodes: Iterable[ast.AST]) -> list[str]:
    """Names that are imported by `nodes`; `y` of `from x import y` may be a module."""
    names = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


@cache
def _code(module: str) -> str:
    """Digest of a module with the templates, styles and scripts beside it that it names."""
    _, code, named = _found(module)
    beside = sorted(_file(module).parent.iterdir()) if named else []
    assets = [path.read_bytes() for path in beside if path.name in named]
    return hashlib.sha256(b"".join([code.encode(), *assets])).hexdigest()


@cache
def _found(module: str) -> tuple[list[str], str, list[str]]:
    """What a module imports, the digest of its code, and names of assets that may lie beside it."""
    text = _file(module).read_bytes()
    key = hashlib.sha256(_ours() + text).hexdigest()
    if key not in _kept():
        nodes = list(ast.walk(ast.parse(text)))
        names = {node.value for node in nodes if isinstance(node, ast.Constant)}
        assets = sorted(n for n in names if isinstance(n, str) and n.endswith(ASSETS))
        code = hashlib.sha256(_spelled(nodes[0]).encode()).hexdigest()
        _kept()[key] = [_imported(nodes), code, assets]
        _new.append(key)
    return _kept()[key]


@cache
def _ours() -> bytes:
    """The text of this module, whose edits change what is found."""
    return Path(__file__).read_bytes()


@cache
def _kept() -> dict[str, Any]:
    """What was found before; planning and every job would parse most of the package otherwise."""
    try:
        return json.loads(KEPT.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _keep() -> None:
    """Write what was found, whole or not at all; where that is not allowed, it is found again."""
    if not _new:
        return
    _new.clear()
    written = KEPT.with_name(f"{KEPT.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        KEPT.parent.mkdir(exist_ok=True)
        written.write_text(json.dumps(dict([*_kept().items()][-MOST_KEPT:])), encoding="utf-8")
        written.replace(KEPT)


def _spelled(node: object) -> str:
    """A syntax tree in words that all versions of Python share: no docstrings, nothing empty."""
    # not ast.dump, which prints the fields that a version has added
    if isinstance(node, ast.Constant):
        return ascii(node.value)
    if isinstance(node, ast.JoinedStr):
        return f'f"{"".join(map(_spelled_part, node.values))}"'
    if isinstance(node, ast.AST):
        fields = (getattr(node, name, None) for name in node._fields if name != "ctx")
        return f"{type(node).__name__}({';'.join(map(_spelled, fields)).rstrip(';')})"
    if isinstance(node, list):
        spelled = [_spelled(item) for item in node if not _is_text(item)]
        return f"[{','.join(spelled)}]" if node else ""
    return "" if node is None else ascii(node)


def _spelled_part(part: ast.expr) -> str:
    """A part of an f-string; versions cut the text between two braces at different places."""
    if isinstance(part, ast.Constant):
        return json.dumps(part.value)[1:-1]
    return f"\0{_spelled(part)}\0"


def _is_text(node: object) -> bool:
    """Whether a statement is a bare string, such as a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
