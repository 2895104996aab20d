"""What the API reads of a body, and what it answers to whatever went wrong."""

from __future__ import annotations

import json
import logging

from batchmill.contracts import openai
from batchmill.contracts.api import Answer, Call
from batchmill.domain.errors import (
    BatchmillError,
    BatchNotFound,
    KeyReused,
    NotCancellable,
    NotPausable,
    RequestTooLarge,
    SpecInvalid,
    Transient,
    UserError,
)

BODY_LIMIT = 256 * 1024
"""Bytes of a body as ASCII JSON: a record of DynamoDB holds 400 KB, and the submission stands in it."""
BATCHES = "/batches"
_ONE = f"{BATCHES}/{{batch_id}}"
METHODS = {BATCHES: "GET, POST", _ONE: "GET", **{f"{_ONE}/{do}": "POST" for do in ("cancel", "pause", "resume")}}
"""The methods of each resource of the API, as the template has them."""

_STATUS: tuple[tuple[type[BatchmillError], int], ...] = (
    (BatchNotFound, 404),
    (KeyReused, 409),
    (NotCancellable, 409),
    (NotPausable, 409),
    (RequestTooLarge, 413),
    (UserError, 400),
    (Transient, 503),
)

log = logging.getLogger(__name__)


class WrongMethod(UserError):
    """A path that is there, by a method that it does not have."""

    code = "method_not_allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class WrongPath(UserError):
    """A path that is not there."""

    code = "not_found"


def parsed_body(body: bytes) -> dict[str, object]:
    """The fields of a JSON object; null is the same as leaving a field out. Raises SpecInvalid, RequestTooLarge."""
    try:
        data = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise SpecInvalid("the body is not JSON") from None
    if not isinstance(data, dict):
        raise SpecInvalid("the body must be a JSON object")
    try:
        size = len(json.dumps(data, allow_nan=False))
        json.dumps(data, ensure_ascii=False).encode()
    except ValueError:
        raise SpecInvalid("the body holds a number or a text that JSON and UTF-8 cannot carry") from None
    if size > BODY_LIMIT:
        raise RequestTooLarge(f"the body is larger than {BODY_LIMIT} bytes")
    return {name: value for name, value in data.items() if value is not None}


def _no_constant(name: str) -> object:
    raise ValueError(name)


def check_route(call: Call) -> None:
    """API Gateway lets every method through. Raises WrongPath, and WrongMethod with those that the path has."""
    allowed = METHODS.get(call.resource)
    if allowed is None:
        raise WrongPath("no such path")
    if call.method not in allowed.split(", "):
        raise WrongMethod(f"{call.method} is not a method of this path; it has {allowed}", allowed)


def refusal(error: Exception, request_id: str) -> Answer:
    """The answer to a call that failed. What is not ours is logged, and not told."""
    headers = {"x-request-id": request_id}
    if isinstance(error, UserError):
        status = _status(error)
        kind: openai.ErrorType = "invalid_request_error"
        message, code, param = str(error), error.code, error.param
        # OpenAI's clients try a 409 again, which cannot help here.
        headers |= {"x-should-retry": "false"}
        headers |= {"allow": error.allowed} if isinstance(error, WrongMethod) else {}
    else:
        status, kind, param = (503 if isinstance(error, Transient) else 500), "server_error", None
        code = "unavailable" if status == 503 else "internal_error"
        message = "busy, try again" if status == 503 else "something went wrong; the log has it by this x-request-id"
        log.error("api: request %s failed", request_id, exc_info=error)
    detail = openai.ErrorDetail(message=message, type=kind, param=param, code=code)
    return Answer(status=status, body=openai.Error(error=detail).model_dump_json(), headers=headers)


def _status(error: UserError) -> int:
    if isinstance(error, WrongMethod):
        return 405
    if isinstance(error, WrongPath):
        return 404
    return next(status for kind, status in _STATUS if isinstance(error, kind))
