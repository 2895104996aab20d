"""The embedded stack's HTTP server: threads, HTTP/1.1 keep-alive, nothing on the terminal.

Werkzeug's own handler closes every connection and waits 10 ms for stray input after each response. Here the
whole request body is read before the application runs, so a connection can simply be used again.
"""

import logging
import socket
import threading
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)

_SHUTDOWN_POLL_SECONDS = 0.05
# The names moto looks up to give x-amz-meta-my_key back with its underscore (werkzeug drops such headers).
_PRESERVED_NAMES = "moto.preserved_header_names"


class KeepAliveHandler(WSGIRequestHandler):
    """One connection: reads each request whole, runs the application, answers, and keeps the connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a reply in two packets waits 40 ms for the client's delayed ACK
    wbufsize = 64 * 1024

    def handle_expect_100(self) -> bool:
        """Leaves the interim answer to `run_wsgi`, so that it is sent once."""
        return True

    def make_environ(self) -> "WSGIEnvironment":
        """The WSGI environment, with the request's body read whole and its length known."""
        environ = super().make_environ()
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read() if "wsgi.input_terminated" in environ else self.rfile.read(length)
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        names = {}
        for name, value in self.headers.items():
            if "_" in name and name.lower().startswith("x-amz-meta-"):
                key = "HTTP_" + name.upper().replace("-", "_")
                environ[key], names[key] = value, name
        environ[_PRESERVED_NAMES] = names
        return environ

    def run_wsgi(self) -> None:
        """Answers one request; an application that raises is a 500, and is logged."""
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        environ = self.make_environ()
        try:
            parts, status, headers = run_wsgi_app(self.server.app, environ)
            body = _joined(parts)
            fields = list(headers)
        except Exception:  # the server must answer, whatever an application raises
            LOG.exception("request failed: %s %s", self.command, self.path)
            body, status, fields = b"", "500 Internal Server Error", []
        self._answer(int(status.split(" ", 1)[0]), fields, body)

    def _answer(self, code: int, fields: list[tuple[str, str]], body: bytes) -> None:
        kept = {name.lower(): value for name, value in fields}
        bodiless = self.command == "HEAD" or code in (204, 304)
        # A HEAD's length is what the application says; any other is counted (moto gives it twice).
        length = kept.get("content-length", "0") if self.command == "HEAD" else str(len(body))
        self.send_response_only(code, _phrase(code))
        for name, value in fields:
            if name.lower() not in _OURS:
                self.send_header(name, value)
        if "date" not in kept:
            self.send_header("Date", self.date_time_string())
        if code not in (204, 304):
            self.send_header("Content-Length", length)
        self.end_headers()
        if not bodiless:
            self.wfile.write(body)

    def log(
        self,
        type: str,  # noqa: ARG002 - werkzeug's signature
        message: str,
        *args: Any,
    ) -> None:
        """Sends what werkzeug would print to this module's logger."""
        LOG.debug(message, *args)


_OURS = frozenset({"connection", "content-length", "transfer-encoding"})


def _joined(parts: Iterable[bytes]) -> bytes:
    try:
        return b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Unknown"


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(Server.request_queue_size)
    except OSError:
        listening.close()
        raise
    return listening


class Server(ThreadedWSGIServer):
    """A WSGI application served on 127.0.0.1, a thread a connection. `start` and `stop` are its whole life.

    Raises `OSError` at construction where the port is taken.
    """

    request_queue_size = 256

    def __init__(self, app: "WSGIApplication", port: int = 0) -> None:
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        # Bound here: werkzeug meets a taken port with a message of its own and sys.exit.
        self._listening = _listen(port)
        super().__init__("127.0.0.1", port, app, handler=KeepAliveHandler, fd=self._listening.fileno())
        self._thread = threading.Thread(target=self._serve, name=f"http-{self.port}", daemon=True)

    @property
    def url(self) -> str:
        """The address clients use, as `http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begins to answer, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stops listening and closes every connection, also those kept alive."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        self._listening.close()
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # already closed by the other side

    def _serve(self) -> None:
        self.serve_forever(poll_interval=_SHUTDOWN_POLL_SECONDS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remembers the connection, so that `stop` can close it."""
        with self._guard:
            self._open.add(cast(socket.socket, request))
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Notes a connection that broke (a client that went away in a long poll); a person need not see it."""
        LOG.debug("a connection of %s broke", client_address, exc_info=True)

    def shutdown_request(self, request: Any) -> None:
        """Forgets a connection that ended."""
        with self._guard:
            self._open.discard(cast(socket.socket, request))
        super().shutdown_request(request)
