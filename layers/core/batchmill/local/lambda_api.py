"""Lambda's HTTP API, as far as batchmill, boto3 and Step Functions use it: Invoke, GetFunction, ListFunctions."""

import base64
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from werkzeug.wrappers import Request, Response

from batchmill.local.environment_pool import ServiceStopped
from batchmill.local.function_spec import ARN_PREFIX, FunctionSpec, InvalidFunction
from batchmill.local.runtime_api import Invocation

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_REQUEST_BYTES = 6 * 1024 * 1024
"""The most bytes of a synchronous invocation's event."""
MAX_EVENT_BYTES = 1024 * 1024
"""The most bytes of an asynchronous invocation's event (256 KB until late 2025)."""

_PATH = re.compile(r"/2015-03-31/functions(?:/(?P<name>[^/]+)(?P<rest>/invocations|/configuration)?)?/?")


class Functions(Protocol):
    """What the API needs of the service behind it."""

    def spec(self, name: str) -> FunctionSpec:
        """Return a function; raises `LookupError` or `InvalidFunction`."""
        ...

    def specs(self) -> list[FunctionSpec]:
        """Return every function."""
        ...

    def invoke(self, name: str, payload: bytes) -> Invocation:
        """Invoke and wait."""
        ...

    def invoke_event(self, name: str, payload: bytes) -> str:
        """Queue an asynchronous invocation and return its request id."""
        ...


def respond(functions: Functions, environ: "WSGIEnvironment") -> Response:
    """Return the answer to one request; errors are AWS's, with their type in the header that boto3 reads."""
    request = Request(environ)
    found = _PATH.fullmatch(request.path)
    if found is None:
        return _error(404, "UnknownOperationException", f"the embedded Lambda has no {request.path}")
    name, rest = found.group("name"), found.group("rest")
    try:
        if request.method == "POST" and name and rest == "/invocations":
            return _invoke(functions, functions.spec(_qualified(name, request)), request)
        if request.method == "GET" and name is None:
            return _json({"Functions": [_configuration(spec) for spec in functions.specs()]})
        if request.method == "GET" and name and rest != "/invocations":
            return _describe(functions.spec(_qualified(name, request)), whole=rest is None)
    except LookupError:
        arn = (name or "").removeprefix(ARN_PREFIX)
        return _error(404, "ResourceNotFoundException", f"Function not found: {ARN_PREFIX}{arn}")
    except InvalidFunction as refused:
        return _error(400, "ValidationException", str(refused))
    except ServiceStopped as stopping:
        return _error(503, "ServiceException", str(stopping))
    return _error(404, "UnknownOperationException", f"the embedded Lambda has no {request.method} {request.path}")


def _qualified(name: str, request: Request) -> str:
    qualifier = request.args.get("Qualifier")
    return f"{name}:{qualifier}" if qualifier else name


def _invoke(functions: Functions, spec: FunctionSpec, request: Request) -> Response:
    kind = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
    payload = request.get_data()
    refusal = _refusal(kind, payload)
    if refusal is not None:
        return refusal
    if kind == "DryRun":
        return Response(status=204, headers={"x-amzn-RequestId": str(uuid.uuid4())})
    if kind == "Event":
        request_id = functions.invoke_event(spec.name, payload)
        return Response(status=202, headers={"x-amzn-RequestId": request_id})
    outcome = functions.invoke(spec.name, payload)
    headers = {"x-amzn-RequestId": outcome.request_id, "X-Amz-Executed-Version": "$LATEST"}
    if outcome.function_error is not None:
        headers["X-Amz-Function-Error"] = outcome.function_error
    if request.headers.get("X-Amz-Log-Type") == "Tail":
        headers["X-Amz-Log-Result"] = base64.b64encode(outcome.log.encode()).decode()
    return Response(outcome.payload, headers=headers, content_type="application/json")


def _refusal(kind: str, payload: bytes) -> Response | None:
    """Return the error for a payload that AWS would not take; the wording and the codes are AWS's."""
    if kind not in ("RequestResponse", "Event", "DryRun"):
        return _error(400, "ValidationException", f"invocation type {kind} is not valid")
    if kind == "Event" and len(payload) > MAX_EVENT_BYTES:
        text = f"{len(payload)} byte payload is too large for the Event invocation type (limit {MAX_EVENT_BYTES} bytes)"
        return _error(413, "RequestEntityTooLargeException", text)
    if len(payload) > MAX_REQUEST_BYTES:
        text = f"Request must be smaller than {MAX_REQUEST_BYTES} bytes for the InvokeFunction operation"
        return _error(413, "RequestEntityTooLargeException", text)
    try:
        json.loads(payload or b"{}")
    except ValueError as broken:
        return _error(400, "InvalidRequestContentException", f"Could not parse request body into json: {broken}")
    return None


def _describe(spec: FunctionSpec, *, whole: bool) -> Response:
    configuration = _configuration(spec)
    if not whole:
        return _json(configuration)
    location = {"RepositoryType": "S3", "Location": spec.code_dir.resolve().as_uri()}
    return _json({"Configuration": configuration, "Code": location, "Tags": {}})


def _configuration(spec: FunctionSpec) -> dict[str, Any]:
    return {
        "FunctionName": spec.name,
        "FunctionArn": spec.arn,
        "Handler": spec.handler,
        "Timeout": spec.timeout_seconds,
        "MemorySize": spec.memory_mb,
        "Version": "$LATEST",
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Environment": {"Variables": dict(spec.environment)},
    }


def _json(body: dict[str, Any]) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(json.dumps(body), headers=headers, content_type="application/json")


def _error(status: int, kind: str, message: str) -> Response:
    # Lambda's own errors spell the key `Message`, and boto3 reads either.
    body = {"Type": "Service" if status >= 500 else "User", "Message": message, "message": message}
    headers = {"x-amzn-errortype": kind, "x-amzn-RequestId": str(uuid.uuid4())}
    return Response(json.dumps(body), status=status, headers=headers, content_type="application/json")
