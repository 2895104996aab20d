"""A model hub for tests: a real HTTP server of the few addresses that the hub's own library asks."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class FakeHub:
    """Models by name, each with its files at every revision.

    `fetched` lists what was downloaded, as (revision, path). `gated` and `private` models are refused as the hub does.
    """

    def __init__(self) -> None:
        self.models: dict[str, dict[str, dict[str, bytes]]] = {}
        self.branches: dict[str, str] = {}
        self.gated: set[str] = set()
        self.down = False
        self.fetched: list[tuple[str, str]] = []

    def add(self, name: str, commit: str, files: dict[str, bytes], branch: str = "main") -> None:
        """A commit of a model, on a branch."""
        self.models.setdefault(name, {})[commit] = files
        self.branches[f"{name}@{branch}"] = commit

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Its address, while it is up."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes, str]:
        """Status, headers, body and what was asked for."""
        if self.down:
            return 503, {}, b"", ""
        if path.startswith("/api/models/"):
            name, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            return self._described(name, revision)
        name, _, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        return self._file(name, revision, file)

    def _described(self, name: str, revision: str) -> tuple[int, dict[str, str], bytes, str]:
        commits = self.models.get(name)
        if commits is None:
            return 401, {"X-Error-Code": "RepoNotFound"}, b"", ""
        commit = self.branches.get(f"{name}@{revision}", revision)
        if commit not in commits:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"", ""
        siblings = [{"rfilename": path, "size": len(body)} for path, body in commits[commit].items()]
        document: dict[str, Any] = {"id": name, "sha": commit, "siblings": siblings, "tags": [], "private": False}
        return 200, {"Content-Type": "application/json"}, json.dumps(document).encode(), ""

    def _file(self, name: str, commit: str, path: str) -> tuple[int, dict[str, str], bytes, str]:
        if name in self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b"", ""
        body = self.models[name][commit][path]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}
        return 200, headers, body, path


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers for the hub; logs nothing."""

        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, *args: object) -> None:
            return

        def _answer(self, *, with_body: bool) -> None:
            asked = unquote(urlsplit(self.path).path)
            status, headers, body, path = hub.answer(asked)
            if with_body and path:
                hub.fetched.append((asked.partition("/resolve/")[2].partition("/")[0], path))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    return Handler
