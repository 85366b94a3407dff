"""Download one file: resume where it was cut, verify it, and name it only when it is whole.

`requests` does the connections, their retries and the proxies of the environment, but does not
resume. A download that was cut leaves `NAME.part` and goes on there with `Range`, guarded by
`If-Range` so that two versions of a file are never joined.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dipr1 import __version__
from dipr1.errors import UserError
from dipr1.progress import progress, say
from dipr1.provenance import file_digest

if TYPE_CHECKING:
    import requests

CHUNK = 2**20
TIMEOUT = (20, 60)  # seconds: to connect, and between two pieces of an answer
LONGEST_PAUSE = 60.0
BUSY = (429, 500, 502, 503, 504)  # worth asking again


def fetch(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    attempts: int = 6,
    backoff: float = 1.0,
    again: bool = False,
) -> bool:
    """Put the file of `url` at `path`, whole and verified; returns whether it was fetched.

    One that is there is only verified. Where it is not what it should be, it stays until another
    has taken its place.

    Args:
        url: http or https.
        path: where it goes; its folder is made. Two processes that want it wait for each other.
        size: in bytes, None where unknown.
        sha256: in hexadecimal, None where unknown.
        attempts: how often in a row it may fail without a byte of progress.
        backoff: seconds before the second attempt, doubled with each.
        again: fetch it even where one is there that seems right.

    Raises:
        UserError: the server refuses, stays silent, or sends something else than expected.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with _alone(path):
        if path.exists() and not again:
            try:
                verify(path, size, sha256)
                return False
            except UserError as fault:
                say(f"{fault}; fetching it again")
        is_whole = False
        while not is_whole:
            resumed = _length(part) > 0
            _download(url, part, size, sha256, attempts, backoff)
            try:
                verify(part, size, sha256, name=url)
                is_whole = True
            except UserError as fault:
                # the two halves may be of different versions; what came in one piece is just wrong
                _forget(part)
                if not resumed:
                    raise
                say(f"{fault}: starting again from the first byte")
        os.replace(part, path)
        _forget(part)
    return True


def verify(path: Path, size: int | None, sha256: str | None, name: str | None = None) -> None:
    """Compare a file with what its makers published.

    Raises:
        UserError: it has another size or another SHA-256; `name` stands for it in the message.
    """
    length = path.stat().st_size
    why = "it is incomplete or another version"
    if size is not None and length != size:
        raise UserError(f"{name or path}: expected {size} bytes but got {length}; {why}")
    if sha256 is not None and (digest := file_digest(path)) != sha256.lower():
        raise UserError(f"{name or path}: expected SHA-256 {sha256} but got {digest}; {why}")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of `path`: the jobs of two splits may want the same archive at once."""
    import fcntl

    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(
    url: str, part: Path, size: int | None, sha256: str | None, attempts: int, backoff: float
) -> None:
    import requests
    import urllib3

    failures = 0
    with _session(attempts, backoff) as session:
        while True:
            before = _length(part)
            reason = "the connection ended early"
            try:
                if _continue(session, url, part, size, can_check=sha256 is not None):
                    return
            except requests.RequestException as error:
                raise UserError(
                    f"{url}: {_reason(error)}; try again later, the {_length(part)} bytes so far"
                    " are kept"
                ) from None
            except urllib3.exceptions.HTTPError as error:
                reason = _reason(error)
            failures = 0 if _length(part) > before else failures + 1
            if failures >= attempts:
                raise UserError(
                    f"{url}: no progress in {attempts} attempts ({reason}); try again later, the"
                    f" {_length(part)} bytes so far are kept"
                )
            say(f"{part.name}: {reason}; going on at byte {_length(part)}")
            time.sleep(min(LONGEST_PAUSE, backoff * 2**failures))


def _session(attempts: int, backoff: float) -> requests.Session:
    """Asks again where no connection is made or the server is busy, as it says (`Retry-After`)."""
    import requests
    from urllib3.util import Retry

    retry = Retry(
        total=attempts,
        backoff_factor=backoff,
        backoff_max=LONGEST_PAUSE,
        status_forcelist=BUSY,
        allowed_methods=["GET"],
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retry))
    # what is sent is what is stored: a compressed transfer would have another size
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"dipr1/{__version__}"})
    return session


def _continue(
    session: requests.Session, url: str, part: Path, size: int | None, *, can_check: bool
) -> bool:
    """Ask for what is missing of `part` and append it; whether the file is whole then."""
    validator = _validator_file(part).read_text() if _validator_file(part).exists() else ""
    offset = _length(part) if validator or can_check else 0
    wanted = {"Range": f"bytes={offset}-"} if offset else {}
    if offset and validator:
        wanted["If-Range"] = validator
    with session.get(url, headers=wanted, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:
            return _is_whole(part, answer)
        if not answer.ok:
            raise UserError(
                f"{url}: the server answers {answer.status_code} {answer.reason}; does the file"
                " still exist, and does it need a login?"
            )
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise UserError(
                f"{url}: the server answers with a web page, not a file; open it in a browser: it"
                " may ask for a login"
            )
        start, total = _extent(answer)
        if start != offset and answer.status_code == 206:
            _forget(part)
            return False
        if size is not None and total is not None and total != size:
            raise UserError(
                f"{url}: expected {size} bytes but the server has {total}; it is another version"
            )
        if start == 0:
            _validator_file(part).write_text(_validator(answer))
        expected = total if size is None else size
        _append(answer, part, start, expected)
    return expected is None or _length(part) >= expected


def _append(answer: requests.Response, part: Path, start: int, total: int | None) -> None:
    missing = None if total is None else math.ceil((total - start) / CHUNK)
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        chunks = answer.raw.stream(CHUNK, decode_content=False)
        for chunk in progress(chunks, missing, f"{part.stem} (MiB)"):
            file.write(chunk)
            if total is not None and file.tell() > total:
                raise UserError(f"{answer.url}: the server sends more than {total} bytes")


def _extent(answer: requests.Response) -> tuple[int, int | None]:
    """Where the answer's body begins in the file, and how long the file is, None where unsaid."""
    if answer.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if match is None:
            return -1, None
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _is_whole(part: Path, answer: requests.Response) -> bool:
    """Whether `part` ends where the file does; a part that does not belong to it is dropped."""
    if answer.headers.get("Content-Range", "") == f"bytes */{_length(part)}":
        return True
    _forget(part)
    return False


def _validator(answer: requests.Response) -> str:
    """What tells this version of the file from another (RFC 9110: no weak ETag in `If-Range`)."""
    etag = answer.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator_file(part).unlink(missing_ok=True)


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _reason(error: Exception) -> str:
    """The innermost words of an error of requests or urllib3."""
    inner = error
    while (deeper := getattr(inner, "reason", None) or next(iter(inner.args), None)) is not None:
        if not isinstance(deeper, Exception):
            break
        inner = deeper
    return " ".join(str(inner).split()) or type(inner).__name__
