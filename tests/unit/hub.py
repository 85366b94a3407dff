"""A hub of a few lines, for what the real `huggingface_hub` asks of one when it pushes."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_of_the_test"


@dataclass
class Hub:
    """What has been pushed.

    Attributes:
        url: where it is.
        created: the requests to make a repository.
        files: of all commits, by name.
        large: contents of large files by their SHA-256.
        cards: that it was asked to check.
    """

    url: str = ""
    created: list[dict] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    cards: list[str] = field(default_factory=list)


@contextlib.contextmanager
def hub() -> Iterator[Hub]:
    """A hub at a free port of this machine, as long as the body runs."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._answer({"error": "Invalid username or password."}, 401)
            else:
                self._answer(self._taken(self.path.split("?")[0], body))

        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            state.large[self.path.rpartition("/")[2]] = content
            self._answer({})

        def _taken(self, path: str, body: bytes) -> dict:
            if path == "/api/repos/create":
                state.created.append(json.loads(body))
                name = f"{state.created[-1]['organization']}/{state.created[-1]['name']}"
                return {"url": f"{state.url}/{name}", "name": name}
            if path == "/api/validate-yaml":
                state.cards.append(json.loads(body)["content"])
                return {"warnings": [], "errors": []}
            if "/preupload/" in path:
                return {"files": [_mode(one) for one in json.loads(body)["files"]]}
            if path.endswith(".git/info/lfs/objects/batch"):
                return {"objects": [self._place(one) for one in json.loads(body)["objects"]]}
            assert "/commit/" in path, path
            for line in map(json.loads, body.splitlines()):
                _commit(state, line["key"], line["value"])
            name = path.removeprefix("/api/models").partition("/commit/")[0]
            return {"commitUrl": f"{state.url}{name}/commit/{'0' * 40}", "commitOid": "0" * 40}

        def _place(self, one: dict) -> dict:
            return one | {"actions": {"upload": {"href": f"{state.url}/large/{one['oid']}"}}}

        def _answer(self, content: dict, code: int = 200) -> None:
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def _mode(one: dict) -> dict:
    mode = "lfs" if one["path"].endswith(".safetensors") else "regular"
    return {"path": one["path"], "uploadMode": mode, "shouldIgnore": False}


def _commit(state: Hub, key: str, value: dict) -> None:
    if key == "file":
        state.files[value["path"]] = base64.b64decode(value["content"])
    elif key == "lfsFile":
        state.files[value["path"]] = state.large[value["oid"]]
