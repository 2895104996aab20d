"""In front of moto's Step Functions: AWS's limits on names and inputs, a stop that stops, tokens answered once."""

import io
import json
import re
import threading
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from batchmill.local import workflow_runtime
from batchmill.local.wire import action_of, call, json_answer, json_body, json_error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_NAME = 80
MAX_PAYLOAD_BYTES = 256 * 1024

_ILLEGAL = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_MESSAGES = {
    "InvalidToken": "Invalid Token: 'Invalid token'",
    "TaskTimedOut": "Task Timed Out: 'Provided task does not exist anymore'",
}


class WorkflowsFront:
    """The WSGI application for Step Functions (signing name `states`)."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._starting = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answers one request."""
        action = action_of(environ)
        if action == "StartExecution":
            return self._start(environ)(environ, start_response)
        if action == "StopExecution":
            return _stop(json_body(environ))(environ, start_response)
        if action in ("SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"):
            return _send_task(action, json_body(environ))(environ, start_response)
        return self._app(environ, start_response)

    def _start(self, environ: "WSGIEnvironment") -> Response:
        body = json_body(environ)
        refused = start_refusal(body)
        if refused is not None:
            return refused
        named = json.dumps({"name": str(uuid.uuid4()), **body}).encode()
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(named), str(len(named))
        with self._starting:  # one name, one execution, however many ask at once
            return call(self._app, environ)


def start_refusal(body: Mapping[str, Any]) -> Response | None:
    """The error AWS answers to a StartExecution with this name and input; None where moto may start it."""
    name = body.get("name")
    if name is not None and (not 0 < len(name) <= MAX_NAME or _ILLEGAL.search(name)):
        return json_error("InvalidName", f"Invalid Name: '{name}'")
    problem = _payload_problem(str(body.get("input") or "{}"))
    return json_error("InvalidExecutionInput", f"Invalid Execution Input: {problem}") if problem else None


def _payload_problem(payload: str) -> str | None:
    size = len(payload.encode())
    if size > MAX_PAYLOAD_BYTES:
        return f"{size} bytes, where {MAX_PAYLOAD_BYTES} are allowed"
    try:
        json.loads(payload)
    except ValueError as error:
        return str(error)
    return None


def _stop(body: Mapping[str, Any]) -> Response:
    arn = str(body.get("executionArn", ""))
    execution = workflow_runtime.find(arn)
    if execution is None:
        return json_error("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
    stopped = workflow_runtime.stop(execution, body.get("error"), body.get("cause"))
    return json_answer({"stopDate": stopped.timestamp()})


def _send_task(action: str, body: Mapping[str, Any]) -> Response:
    token = str(body.get("taskToken", ""))
    if action == "SendTaskHeartbeat":
        problem = workflow_runtime.heartbeat(token)
    else:
        refused, outcome = _outcome(action, token, body)
        if refused is not None:
            return refused
        problem = workflow_runtime.answer(token, outcome)
    return json_answer({}) if problem is None else json_error(problem, _MESSAGES[problem])


def _outcome(action: str, token: str, body: Mapping[str, Any]) -> tuple[Response | None, Any]:
    from moto.stepfunctions.parser.asl.eval.callback import callback

    if action == "SendTaskFailure":
        return None, callback.CallbackOutcomeFailure(token, body.get("error") or "", body.get("cause") or "")
    output = str(body.get("output", ""))
    problem = _payload_problem(output)
    if problem is not None:
        return json_error("InvalidOutput", f"Invalid Output: {problem}"), None
    return None, callback.CallbackOutcomeSuccess(token, output)
