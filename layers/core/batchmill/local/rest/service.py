"""The REST front: an HTTP port of its own, and behind it what the template's API says.

As on AWS: 10 MB of a body, 29 s, 6 MB of an event, an authorizer before the function, the template's gateway
responses for everything that the function does not answer itself, and a function called only where a permission of
the template lets API Gateway.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from werkzeug.wrappers import Response

from batchmill.local.account import REGION
from batchmill.local.environment_pool import ServiceStopped
from batchmill.local.function_spec import parse_reference
from batchmill.local.intrinsics import TemplateError
from batchmill.local.rest.authorizing import Authorizing, covers
from batchmill.local.rest.definition import Definition, Method
from batchmill.local.rest.events import Asked, proxy_event, read
from batchmill.local.rest.responses import Refused, rendered
from batchmill.local.rest.throttling import Throttle
from batchmill.local.runtime_api import Invocation
from batchmill.local.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BODY_BYTES = 10 * 1024 * 1024
"""The most that API Gateway takes."""
EVENT_BYTES = 6 * 1024 * 1024
"""The most that Lambda takes in a synchronous call."""
AUTHORIZER_S = 29.0
_WAITING = 64
_PRINCIPAL = "apigateway.amazonaws.com"

LOG = logging.getLogger(__name__)


class Functions(Protocol):
    """What the front needs of Lambda."""

    def invoke(self, name: str, payload: bytes) -> Invocation:
        """Invoke and wait."""
        ...


@dataclass(frozen=True)
class Permission:
    """Who may call a function, by name. `source_arn` may hold wildcards; empty: anything of the principal's."""

    function: str
    principal: str
    source_arn: str = ""


class RestService:
    """One REST API on a port of its own. Made by the template's resources, one after the other; then it answers."""

    def __init__(self, functions: Functions, clock: Callable[[], float] = time.monotonic) -> None:
        self._functions = functions
        self._authorizing = Authorizing(self._invoke, clock)
        self._clock = clock
        self._definitions: dict[str, Definition] = {}
        self._stages: dict[str, Throttle] = {}
        self._permissions: list[Permission] = []
        self._pool = ThreadPoolExecutor(_WAITING, thread_name_prefix="rest")
        self._server: Server | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it answers; empty before `start`."""
        return self._server.url if self._server is not None else ""

    def start(self, port: int = 0) -> str:
        """Listen on 127.0.0.1 and return the URL. Port 0 takes a free one. Raises OSError where it is taken."""
        self._server = Server(self, port)
        self._server.start()
        return self.url

    def stop(self) -> None:
        """Answer no more. Again: does nothing."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        self._pool.shutdown(wait=False, cancel_futures=True)

    def define(self, api_id: str, definition: Definition) -> None:
        """The API. Raises TemplateError for a second one: there is one port."""
        if self._definitions:
            raise TemplateError("the embedded stack has one REST API")
        self._definitions[api_id] = definition

    def stage(self, api_id: str, name: str, rate: float, burst: int) -> None:
        """A stage of it, with the requests a second that it lets through. Raises TemplateError for an unknown API."""
        if api_id not in self._definitions:
            raise TemplateError(f"there is no API {api_id}")
        self._stages[name] = Throttle(rate, burst, self._clock)

    def permit(self, permission: Permission) -> None:
        """A function may be called."""
        self._permissions.append(permission)

    def localized(self, text: str) -> str:
        """A text with the API's address on AWS as its address here."""
        for api_id in self._definitions:
            text = text.replace(f"https://{domain_of(api_id)}", self.url)
        return text

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application."""
        [(api_id, definition)] = self._definitions.items() or [("none", Definition(()))]
        asked = read(api_id, environ)
        if asked is None or asked.stage not in self._stages:
            return Response('{"message":"Forbidden"}', 403, content_type="application/json")(environ, start_response)
        try:
            answer = self._answer(definition, asked)
        except Refused as refused:
            LOG.info("%s %s: %s", asked.method, asked.path, refused)
            answer = rendered(refused, definition.responses, asked.request_id)
        except ServiceStopped:
            answer = rendered(Refused("INTEGRATION_FAILURE"), definition.responses, asked.request_id)
        return answer(environ, start_response)

    def _answer(self, definition: Definition, asked: Asked) -> Response:
        found = definition.find(asked.path, asked.method)
        if found is None:
            raise Refused("MISSING_AUTHENTICATION_TOKEN")
        if len(asked.body) > BODY_BYTES:
            raise Refused("REQUEST_TOO_LARGE")
        if not self._stages[asked.stage].passes():
            raise Refused("THROTTLED")
        resource, method, parameters = found
        who = self._authorizing.principal(method.authorizer, asked) if method.authorizer else None
        event = proxy_event(asked, resource.path, parameters, who, domain_of(asked.api_id))
        return _response(self._call(method, event, asked), asked.request_id)

    def _call(self, method: Method, event: Mapping[str, Any], asked: Asked) -> Invocation:
        outcome = self._invoke(method.function_arn, event, asked.arn, method.timeout_s)
        if outcome.function_error is not None:
            raise Refused("INTEGRATION_FAILURE", outcome.function_error, 502)
        return outcome

    def _invoke(
        self, function_arn: str, event: Mapping[str, Any], source_arn: str, timeout_s: float = AUTHORIZER_S
    ) -> Invocation:
        name = parse_reference(function_arn)[0]
        if not self._permitted(name, source_arn):
            raise Refused("API_CONFIGURATION_ERROR", f"no AWS::Lambda::Permission lets API Gateway call {name}")
        payload = json.dumps(event).encode()
        if len(payload) > EVENT_BYTES:
            raise Refused("REQUEST_TOO_LARGE", "Lambda takes 6 MB")
        try:
            return self._pool.submit(self._functions.invoke, name, payload).result(timeout_s)
        except Late:
            raise Refused("INTEGRATION_TIMEOUT") from None

    def _permitted(self, function: str, source_arn: str) -> bool:
        return any(
            one.function == function
            and one.principal == _PRINCIPAL
            and (not one.source_arn or covers(one.source_arn, source_arn))
            for one in self._permissions
        )


def domain_of(api_id: str) -> str:
    """An API's host name on AWS."""
    return f"{api_id}.execute-api.{REGION}.amazonaws.com"


def _response(outcome: Invocation, request_id: str) -> Response:
    """A proxy integration's answer. Raises Refused for one that API Gateway would not understand."""
    try:
        said = json.loads(outcome.payload)
        body = said.get("body") or ""
        raw = base64.b64decode(body) if said.get("isBase64Encoded") else body.encode()
        answer = Response(raw, int(said["statusCode"]), content_type="application/json")
        single = {name: [value] for name, value in (said.get("headers") or {}).items()}
        headers = {**single, **(said.get("multiValueHeaders") or {})}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused("INTEGRATION_FAILURE", "a malformed answer of the function", 502) from error
    for name, values in headers.items():
        answer.headers.setlist(name, [str(value) for value in values])
    answer.headers["x-amzn-RequestId"] = request_id
    return answer
