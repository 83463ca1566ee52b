"""A model hub on localhost: as much of the Hugging Face Hub's protocol as its client asks for, and its faults."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

# missing: no such repository. broken: 500 to everything. hang: accepts and never answers; hang files: answers for its
# front page only; hang bodies: for headers only; hang bert: for all but the repository tests/bert. cut: half a
# checkpoint, then nothing to any request. stall: half a checkpoint, then silence. slow: a checkpoint in pieces with
# pauses. corrupt: a checkpoint of the right length with one byte changed.
Fault = Literal[
    "missing", "broken", "hang", "hang files", "hang bodies", "hang bert", "cut", "stall", "slow", "corrupt"
]
PAUSE = 0.6

_COMMIT = "c0ffee" * 6 + "c0de"
_CHECKPOINTS = (".safetensors", ".bin")
_CHUNK = 1 << 20
_PIECES = 8


class Hub(ThreadingHTTPServer):
    """Serves `root`/ORG/NAME/FILE as the repository ORG/NAME. requests: what was asked, as "METHOD path"."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.fault: Fault | None = None
        self.requests: list[str] = []
        self.stalled = threading.Event()
        self.closing = threading.Event()
        self.was_cut = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is a part of these tests."""


@contextmanager
def serve(root: Path) -> Iterator[Hub]:
    hub = Hub(root)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        hub.shutdown()
        thread.join()
        hub.server_close()


@contextmanager
def faulty(hub: Hub, fault: Fault) -> Iterator[None]:
    hub.fault = fault
    try:
        yield
    finally:
        hub.fault, hub.was_cut = None, False
        hub.stalled.clear()


@cache
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        """The suite reads Hub.requests."""

    def _answer(self, body: bool) -> None:
        hub = self.server
        hub.requests.append(f"{self.command} {self.path}")
        if self._hangs():
            hub.closing.wait()
            self.close_connection = True
        elif hub.fault == "cut" and hub.was_cut:
            self.close_connection = True
        elif hub.fault == "broken":
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, None)
        else:
            self._answer_well(body)

    def _hangs(self) -> bool:
        match self.server.fault:
            case "hang":
                return True
            case "hang files":
                return self.path.strip("/") != ""
            case "hang bodies":
                return self.command == "GET"
            case "hang bert":
                return "tests/bert/" in self.path
        return False

    def _answer_well(self, body: bool) -> None:
        hub = self.server
        about, _, file = self.path.removeprefix("/api/models").lstrip("/").partition("/resolve/")
        repo = "/".join(about.split("/")[:2])
        path = hub.root / repo / file.partition("/")[2]
        if hub.fault == "missing" or not (hub.root / repo).is_dir() or "/" not in repo:
            self._refuse(HTTPStatus.NOT_FOUND, "RepoNotFound")
        elif about == repo and not file:
            self._send_json({"id": repo, "sha": _COMMIT, "siblings": []})
        elif not path.is_file():
            self._refuse(HTTPStatus.NOT_FOUND, "EntryNotFound")
        else:
            self._send(path, body)

    def _send_json(self, document: dict[str, object]) -> None:
        data = json.dumps(document).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: HTTPStatus, code: str | None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", code)
        if code == "EntryNotFound":
            self.send_header("X-Repo-Commit", _COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, path: Path, body: bool) -> None:
        size = path.stat().st_size
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
        self.send_header("Content-Length", str(size - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("X-Repo-Commit", _COMMIT)
        if path.suffix in _CHECKPOINTS:
            self.send_header("X-Linked-Etag", f'"{_sha256(path)}"')
            self.send_header("X-Linked-Size", str(size))
        else:
            self.send_header("ETag", f'"{_sha256(path)[:40]}"')
        self.end_headers()
        if body:
            self._send_body(path, start, size)

    def _send_body(self, path: Path, start: int, size: int) -> None:
        hub = self.server
        fault = hub.fault if path.suffix in _CHECKPOINTS else None
        end = size // 2 if fault in ("cut", "stall") else size
        most = -(-size // _PIECES) if fault == "slow" else _CHUNK
        with path.open("rb") as file:
            file.seek(start)
            while (at := file.tell()) < end:
                chunk = bytearray(file.read(min(most, end - at)))
                if fault == "slow":
                    time.sleep(PAUSE)
                if fault == "corrupt" and file.tell() == size:
                    chunk[-1] ^= 1
                self.wfile.write(chunk)
        if fault == "stall":
            hub.stalled.set()
            hub.closing.wait()
        elif fault == "cut":
            hub.was_cut = True
            self.close_connection = True
