"""What a result is made from: digests of code, of options and of files.

The rules keep :func:`code_digest` among a job's parameters, so that Snakemake repeats a job where
an edit can change its output, and only there. Formats and methods of training are imported by name
when a job runs; a job is told which ones it uses, and only these count.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
CHECKPOINT = PACKAGE / "demo" / "checkpoint"

# What these hold reaches a job through its flags, or can change nothing but what is printed. The
# package itself holds the version.
UNFOLLOWED = {
    "dipr1",
    *(f"dipr1.{name}" for name in ("cli", "config", "errors", "options", "progress", "provenance")),
}
BY_NAME = {"format": "dipr1.datasets.formats.{}", "method": "dipr1.training.{}"}
ASSETS = (".css", ".j2", ".js")


@cache
def code_digest(verb: str, **chosen: str) -> str:
    """16 hexadecimal digits of the code that can change what a verb writes.

    It does not depend on comments, docstrings and layout, nor on the version of Python.

    Args:
        verb: its module in `dipr1/verbs/`, from which our own imports are followed.
        chosen: what else is imported by name: ``format`` and ``method``.
    """
    digest = hashlib.sha256()
    for module in modules_behind(verb, **chosen):
        digest.update(f"{module}\0{_code(module)}\0".encode())
    return digest.hexdigest()[:16]


def modules_behind(verb: str, **chosen: str) -> list[str]:
    """Our own modules that can change what a verb writes, sorted.

    Raises:
        ValueError: there is no such module of a verb, a format or a method.

    >>> modules_behind("export")[-1]
    'dipr1.verbs.export'
    """
    roots = [f"dipr1.verbs.{verb}"] + [_named(kind, name) for kind, name in chosen.items()]
    for module in roots:
        if _file(module) is None:
            raise ValueError(f"{module}: no such module")
    behind, waiting = set(), roots
    while waiting:
        module = waiting.pop()
        if module not in behind and _counts(module):
            behind.add(module)
            waiting += _imports(module)
    return sorted(behind)


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


def _named(kind: str, name: str) -> str:
    return "dipr1.demo.scenes" if name == "scenes" else BY_NAME[kind].format(name)


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


@cache
def _imports(module: str) -> list[str]:
    """Names that a module imports anywhere; `y` of `from x import y` may be a module too."""
    names = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


@cache
def _code(module: str) -> str:
    """Digest of a module with the templates, styles and scripts beside it that it names."""
    digest = hashlib.sha256(_spelled(_tree(module)).encode())
    names = {node.value for node in ast.walk(_tree(module)) if isinstance(node, ast.Constant)}
    for path in sorted(_file(module).parent.iterdir()):
        if path.suffix in ASSETS and path.name in names:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _spelled(node: object) -> str:
    """A syntax tree in words that all versions of Python share: no docstrings, nothing empty.

    (`ast.dump` also prints the fields that a version has added.)
    """
    if isinstance(node, ast.Constant):
        return ascii(node.value)
    if isinstance(node, ast.JoinedStr):
        return "f" + "".join(map(_spelled_part, node.values))
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
