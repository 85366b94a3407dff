"""Downloads from a real server on this machine that cuts, lies, stalls and refuses."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from dipr1.datasets.transfer import CHUNK, fetch
from dipr1.errors import UserError

# more than two pieces, so that a cut can fall between them and inside one
CONTENT = np.random.default_rng(0).bytes(5 * CHUNK // 2)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        answer = server.script.pop(0) if server.script else honest
        answer(self)
        self.close_connection = True

    def log_message(self, *arguments) -> None:
        pass

    def send(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Answers each request as the next entry of `script` says, then honestly."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Callable[[Handler], None]] = []
        self.ranges: list[str | None] = []
        self.content, self.etag = CONTENT, '"one"'
        self.url = f"http://127.0.0.1:{self.server_port}/file.bin"

    def handle_error(self, request, client_address) -> None:
        """The other side has hung up, as some of these tests want it to."""


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "file.bin"


def get(server: Server, path: Path, **options) -> bool:
    return fetch(server.url, path, backoff=0.005, **options)


def left(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir() if not file.name.endswith(".lock"))


# --- how a server can answer ----------------------------------------------------------------------


def honest(handler: Handler, cut: int | None = None) -> None:
    """With `Range` and `If-Range` as RFC 9110 has them; `cut` ends the body after so many bytes."""
    content, etag = handler.server.content, handler.server.etag
    wanted = handler.headers.get("Range")
    if wanted is None or handler.headers.get("If-Range", etag) != etag:
        handler.send(200, content[:cut], len(content), ETag=etag)
        return
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    if start >= len(content):
        handler.send(416, b"", Content_Range=f"bytes */{len(content)}")
        return
    extent = f"bytes {start}-{len(content) - 1}/{len(content)}"
    body = content[start:]
    handler.send(206, body[:cut], len(body), ETag=etag, Content_Range=extent)


def cut(size: int) -> Callable[[Handler], None]:
    return lambda handler: honest(handler, size)


def without_ranges(handler: Handler) -> None:
    handler.send(200, CONTENT, ETag='"one"')


def with_other_bytes(handler: Handler) -> None:
    handler.send(200, CONTENT[::-1])


def status(code: int, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.send(code, b"no", **headers)


# --- what comes of it -----------------------------------------------------------------------------


def test_a_file_is_fetched_once(server, path):
    get(server, path, size=len(CONTENT), sha256=SHA256)
    get(server, path, size=len(CONTENT), sha256=SHA256.upper())
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None]
    assert left(path) == ["file.bin"]


def test_an_empty_file(server, path):
    server.content = b""
    get(server, path)
    assert path.read_bytes() == b""


def test_a_cut_connection_goes_on_where_it_ended(server, path):
    server.script = [cut(CHUNK + 7), cut(CHUNK)]
    get(server, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.ranges[0] is None
    assert len(server.ranges) == 3
    # what was cut inside a piece is either kept or asked for again, but never skipped
    starts = [int(found.removeprefix("bytes=").removesuffix("-")) for found in server.ranges[1:]]
    assert CHUNK <= starts[0] <= CHUNK + 7
    assert starts[0] < starts[1] <= 2 * CHUNK + 7


def test_a_download_that_gave_up_is_resumed_by_the_next_run(server, path):
    server.script = [cut(CHUNK + 7), *[status(404)]]
    with pytest.raises(UserError, match="404 Not Found; does the file still exist"):
        get(server, path)
    assert left(path) == ["file.bin.part", "file.bin.part.version"]
    server.ranges.clear()
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges[0].startswith("bytes=1048")
    assert left(path) == ["file.bin"]


def test_a_file_that_changed_in_between_is_not_joined(server, path):
    server.script = [cut(CHUNK + 7), status(404)]
    with pytest.raises(UserError):
        get(server, path)
    server.content, server.etag = CONTENT[::-1], '"two"'
    get(server, path)
    assert path.read_bytes() == CONTENT[::-1]


def test_without_validator_and_checksum_it_starts_again(server, path):
    path.parent.mkdir()
    path.with_name("file.bin.part").write_bytes(b"who knows whose")
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_server_that_ignores_ranges(server, path):
    server.script = [cut(CHUNK + 7), without_ranges]
    get(server, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT


def test_a_range_that_begins_elsewhere_is_not_appended(server, path):
    def shifted(handler: Handler) -> None:
        extent = f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"
        handler.send(206, CONTENT, Content_Range=extent)

    server.script = [cut(CHUNK + 7), shifted]
    get(server, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_whole_already(server, path):
    """Killed between the last byte and the renaming: the server has nothing more (416)."""
    path.parent.mkdir()
    path.with_name("file.bin.part").write_bytes(CONTENT)
    get(server, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_a_part_that_is_longer_than_the_file(server, path):
    path.parent.mkdir()
    path.with_name("file.bin.part").write_bytes(CONTENT + b"more")
    get(server, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_part_of_other_bytes_is_noticed_and_fetched_anew(server, path):
    path.parent.mkdir()
    path.with_name("file.bin.part").write_bytes(CONTENT[:CHUNK][::-1])
    get(server, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={CHUNK}-", None]


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server, path, code):
    server.script = [status(code), status(code, Retry_After="0")]
    get(server, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert len(server.ranges) == 3


def test_a_server_that_stays_busy(server, path):
    server.script = [status(503)] * 20
    with pytest.raises(UserError, match="503 error responses; try again later, the 0 bytes so far"):
        get(server, path, attempts=3)
    assert not path.exists()


def test_retry_after_is_waited_for(server, path, monkeypatch):
    import urllib3.util.retry

    pauses = []
    monkeypatch.setattr(urllib3.util.retry.time, "sleep", pauses.append)
    server.script = [status(429, Retry_After="17")]
    get(server, path)
    assert 17 in pauses


def test_no_server_at_all(server, path):
    server.url = "http://127.0.0.1:9/file.bin"
    with pytest.raises(UserError, match="http://127.0.0.1:9/file.bin: .*refused"):
        get(server, path, attempts=2)
    assert left(path) == []


def test_no_progress_is_given_up(server, path):
    server.script = [cut(0)] * 20
    with pytest.raises(UserError, match="no progress in 3 attempts"):
        get(server, path, attempts=3)
    assert not path.exists()


@pytest.mark.parametrize("extra", [10, -10])
def test_a_length_that_is_not_the_files(server, path, extra):
    server.script = [lambda handler: handler.send(200, CONTENT, len(CONTENT) + extra)]
    with pytest.raises(UserError, match=f"expected {len(CONTENT)} bytes but the server has"):
        get(server, path, size=len(CONTENT))
    assert not path.exists()


def test_a_length_too_short_for_the_checksum(server, path):
    server.script = [lambda handler: handler.send(200, CONTENT, len(CONTENT) - 10)]
    with pytest.raises(UserError, match="expected SHA-256"):
        get(server, path, sha256=SHA256)
    assert left(path) == []


def test_more_bytes_than_there_should_be(server, path):
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(CONTENT + b"more")

    server.script = [endless]
    with pytest.raises(UserError, match=f"sends more than {len(CONTENT)} bytes"):
        get(server, path, size=len(CONTENT))
    assert not path.exists()


def test_other_bytes_never_reach_the_name(server, path):
    server.script = [with_other_bytes]
    with pytest.raises(UserError, match=f"expected SHA-256 {SHA256} but got"):
        get(server, path, sha256=SHA256)
    assert left(path) == []


def test_a_bad_file_that_is_there_is_fetched_again(server, path, capsys):
    path.parent.mkdir()
    path.write_bytes(CONTENT[:-1])
    assert get(server, path, size=len(CONTENT)) is True
    assert path.read_bytes() == CONTENT
    assert re.search(
        rf"store/file.bin: expected {len(CONTENT)} bytes but got {len(CONTENT) - 1};"
        " .*; fetching it again\n",
        capsys.readouterr().err,
    )
    assert get(server, path, size=len(CONTENT)) is False
    assert server.ranges == [None]


def test_a_bad_file_stays_until_there_is_another(server, path):
    path.parent.mkdir()
    path.write_bytes(b"bad")
    server.script = [status(404)]
    with pytest.raises(UserError, match="the server answers 404"):
        get(server, path, size=len(CONTENT))
    assert path.read_bytes() == b"bad"


def test_a_web_page_is_no_file(server, path):
    server.script = [lambda handler: handler.send(200, b"<html>", Content_Type="text/html")]
    with pytest.raises(UserError, match="answers with a web page, not a file"):
        get(server, path)
    assert left(path) == []


@pytest.mark.parametrize("code", [401, 403, 404, 410, 520])
def test_a_refusal_is_not_asked_again(server, path, code):
    server.script = [status(code)]
    with pytest.raises(UserError, match=f"the server answers {code} .*; does the file still exist"):
        get(server, path)
    assert len(server.ranges) == 1


def test_an_answer_without_a_length_that_ends_early(server, path):
    """Only the published size tells that something is missing."""

    def nameless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("ETag", '"one"')
        handler.end_headers()
        handler.wfile.write(CONTENT[: CHUNK + 7])

    server.script = [nameless]
    get(server, path, size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={CHUNK + 7}-"]


def test_a_transfer_in_pieces_without_a_length(server, path):
    def chunked(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(CONTENT), 100_000):
            piece = CONTENT[start : start + 100_000]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    server.script = [chunked]
    get(server, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT


def test_a_killed_download_leaves_no_file_and_is_resumed(server, path):
    go_on = threading.Event()

    def stalling(handler: Handler) -> None:
        handler.send(200, CONTENT[: CHUNK + 7], len(CONTENT), ETag='"one"')
        go_on.wait(20)

    server.script = [stalling]
    code = "from dipr1.datasets.transfer import fetch; from pathlib import Path; import sys;"
    code += "fetch(sys.argv[1], Path(sys.argv[2]))"
    part = path.with_name("file.bin.part")
    with subprocess.Popen([sys.executable, "-c", code, server.url, str(path)]) as process:
        deadline = time.monotonic() + 20
        while not (part.exists() and part.stat().st_size >= CHUNK):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        process.kill()
    go_on.set()
    assert not path.exists()
    get(server, path, sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.ranges[1].startswith("bytes=1048")


def test_two_processes_that_want_the_same_file_fetch_it_once(server, path):
    threads = [threading.Thread(target=get, args=(server, path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None]
