"""Faults of the kinds that annotation files have, put in at random."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable

_TOKENS = (
    b"nan", b"NaN", b"inf", b"-Infinity", b"1e400", b"-1", b"0", b"0.0", b"-0", b"1e", b"+5",
    b"0x1", b"1_0", b"007", b"9999999999999999999999", b"1" * 5000, b"2147483648", b"70000",
    b"\xd9\xa3", b'"1"', b'""', b"true", b"null", b"[]", b"{}", b"[[1]]", b"", b" ", b",", b"\x00",
    b"\xff\xfe",
)  # fmt: skip
_VALUES = (
    None, True, False, 0, -1, 0.5, 2, 10**400, 1e308, float("nan"), float("-inf"), "", "1",
    "\ud800", "a" * 300, "../x", "a\0b", [], {}, [1], [1, 2, 3, 4], [None] * 4, {"x": 1},
    [[1, 2, 3, 4]],
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The file's content with one to three faults."""
    for _ in range(rng.randrange(1, 4)):
        content = rng.choice(_MUTATIONS)(content, rng)
    return content


def _bytes(content: bytes, rng: random.Random) -> bytes:
    if not content:
        return bytes([rng.randrange(256)])
    at = rng.randrange(len(content))
    return content[:at] + rng.randbytes(rng.randrange(3)) + content[at + rng.randrange(4) :]


def _overwritten(content: bytes, rng: random.Random) -> bytes:
    """As long as before: in a binary file, the lengths that it declares still hold."""
    at, length = rng.randrange(len(content) + 1), rng.randrange(1, 5)
    return content[:at] + rng.randbytes(len(content[at : at + length])) + content[at + length :]


def _number(content: bytes, rng: random.Random) -> bytes:
    places = list(_NUMBER.finditer(content))
    if not places:
        return _bytes(content, rng)
    place = rng.choice(places)
    return content[: place.start()] + rng.choice(_TOKENS) + content[place.end() :]


def _token(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(_TOKENS) + content[at:]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(5)
    if kind == 0:
        del lines[a]
    elif kind == 1:
        lines.insert(b, lines[a])
    elif kind == 2:
        lines[a], lines[b] = lines[b], lines[a]
    elif kind == 3:
        lines[a] = lines[a][: rng.randrange(len(lines[a]) + 1)]
    else:
        lines.insert(b, rng.choice(_TOKENS))
    return b"\n".join(lines)


def _whole(content: bytes, rng: random.Random) -> bytes:
    changes: list[Callable[[bytes], bytes]] = [
        lambda text: b"",
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"\n", b"\r"),
        lambda text: text.replace(b"\n", b""),
        lambda text: text.decode("latin-1").encode("utf-16"),
        lambda text: text * 3,
        lambda text: bytes(len(text)),
        lambda text: b"[" * 20_000,
    ]
    return rng.choice(changes)(content)


def _json_value(content: bytes, rng: random.Random) -> bytes:
    """Replace any value, or drop a key, in a JSON document or in a line of JSON lines."""
    lines = content.split(b"\n")
    for at in [None, rng.randrange(len(lines))]:
        try:
            document = json.loads(content if at is None else lines[at])
        except (ValueError, RecursionError):
            continue
        text = json.dumps(_replaced(document, rng)).encode()
        if at is None:
            return text
        lines[at] = text
        return b"\n".join(lines)
    return _number(content, rng)


def _replaced(node: object, rng: random.Random) -> object:
    if isinstance(node, (dict, list)) and node and rng.random() < 0.85:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if rng.random() < 0.1:
            del node[key]
        else:
            node[key] = _replaced(node[key], rng)
        return node
    return rng.choice(_VALUES)


_MUTATIONS = (
    _bytes, _overwritten, _overwritten, _number, _number, _number, _token, _cut, _lines, _lines,
    _whole, _json_value, _json_value, _json_value,
)  # fmt: skip
