"""The embedded stack's one endpoint: every client sets AWS_ENDPOINT_URL to it and nothing else.

The service is read from the SigV4 credential scope, in the Authorization header or in a presigned URL; a
request without one (unsigned, or signed the old way) is for S3. Signatures are not checked: any credentials
are accepted, as long as the scope names the service. Presigned URLs do expire.
"""

import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from batchmill.local import moto_app
from batchmill.local.clients import ACCESS_KEY, SECRET_KEY, local_client
from batchmill.local.keeping.durability import Durability
from batchmill.local.moto_app import MotoApps
from batchmill.local.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ACCESS_KEY", "SECRET_KEY", "Router", "service_of"]

LOG = logging.getLogger(__name__)

_SCOPE = re.compile(r"Credential=[^/\s]+/\d{8}/[^/\s]+/([^/\s,&]+)/aws4_request")
_POOL = 64  # connections a client keeps: more threads than this share them


def service_of(environ: "WSGIEnvironment") -> str:
    """The SigV4 signing name that a request is for; `s3` where it carries no SigV4 scope."""
    found = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if found is None:
        found = _SCOPE.search(unquote(environ.get("QUERY_STRING", "")))
    return found.group(1).lower() if found else "s3"


class Router:
    """The one endpoint: picks the service by SigV4 credential scope; mounted applications win over moto's.

    moto's state belongs to the process: its routers share it, and it is forgotten when the last stops.
    """

    _running: "list[Router]" = []  # noqa: RUF012 - shared on purpose: see the class's docstring

    def __init__(self) -> None:
        self.endpoint_url = ""
        self._mounted: dict[str, WSGIApplication] = {}
        self._moto = MotoApps()
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The port it answers on; 0 while it does not."""
        return self._server.port if self._server is not None else 0

    def mount(self, service: str, app: "WSGIApplication") -> None:
        """Gives every request signed for `service` (a SigV4 name, such as `lambda`) to `app`."""
        self._mounted[service] = app

    def keep(self, durability: Durability) -> None:
        """Tells `durability` of every change from now on, until this router stops."""
        self._moto.durability = durability

    def start(self, port: int = 0) -> str:
        """Starts answering on 127.0.0.1 and returns the endpoint's URL. Port 0 takes a free one.

        Raises `OSError` where the port is taken, `RuntimeError` where this router runs already.
        """
        if self._server is not None:
            raise RuntimeError("this router is already running")
        self._moto = MotoApps()
        self._server = Server(self, port)
        moto_app.configure(self._server.port)
        self.endpoint_url = self._server.url
        self._server.start()
        Router._running.append(self)
        return self.endpoint_url

    def stop(self) -> None:
        """Stops answering; the last router of a process also forgets all state. Again: does nothing."""
        if self._server is None:
            return
        Router._running.remove(self)
        if not Router._running:
            moto_app.halt()
        self._moto.stop()
        self._server.stop()
        self._server = None
        if Router._running:
            moto_app.point_at(Router._running[-1].port)
        else:
            moto_app.reset()

    def client(self, service: str) -> Any:
        """A boto3 client of this endpoint, with credentials and region given: it reads no environment."""
        return local_client(service, self.endpoint_url, max_pool_connections=_POOL)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        """The WSGI application itself."""
        service = service_of(environ)
        app = self._mounted.get(service) or self._moto.get(service)
        if app is None:
            return _unknown_service(service, start_response)
        return app(environ, start_response)


def _unknown_service(service: str, start_response: "StartResponse") -> "Iterable[bytes]":
    LOG.warning("a request for %s, which the embedded stack does not have", service)
    body = f'{{"__type":"NotImplemented","message":"the embedded stack has no service {service}"}}'.encode()
    start_response("501 Not Implemented", [("Content-Type", "application/json")])
    return [body]
