"""The API's handler: which paths reach the step, and that every answer is the step's."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from batchmill import bootstrap
from batchmill.contracts.api import Answer, Call
from support.calls import event
from unit.functions.test_handlers import Context


class Step:
    """In the step's place: tells what it was called with."""

    def __call__(self, asked: dict[str, Any], batch_id: str = "") -> Answer:
        call = Call.of(asked)
        if batch_id == "broken":
            raise ZeroDivisionError
        told = json.dumps([call.method, call.resource, batch_id])
        return Answer(status=200, body=told, headers={"x-request-id": call.request_id})

    def failed(self, asked: dict[str, Any], error: Exception) -> Answer:
        status = getattr(error, "status_code", 500)
        return Answer(status=status, body=json.dumps(type(error).__name__), headers={})


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(bootstrap, "api", Step)
    handler = importlib.import_module("functions.api").handler
    return lambda method, path: handler(event(method, path), Context())


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("POST", "/batches", ["POST", "/batches", ""]),
        ("GET", "/batches", ["GET", "/batches", ""]),
        ("GET", "/batches/batch_1", ["GET", "/batches/{batch_id}", "batch_1"]),
        ("POST", "/batches/batch_1/cancel", ["POST", "/batches/{batch_id}/cancel", "batch_1"]),
    ],
)
def test_a_path_reaches_the_step_and_its_answer_goes_out(invoke: Any, method: str, path: str, told: list[str]) -> None:
    answer = invoke(method, path)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, told)
    assert answer["multiValueHeaders"] == {"x-request-id": ["request-1"], "Content-Type": ["application/json"]}
    assert answer["isBase64Encoded"] is False


@pytest.mark.parametrize(("method", "path"), [("PUT", "/batches"), ("GET", "/batches/x/cancel")])
def test_what_the_router_does_not_take_is_the_steps_to_answer_too(invoke: Any, method: str, path: str) -> None:
    answer = invoke(method, path)
    assert (answer["statusCode"], json.loads(answer["body"])) == (404, "NotFoundError")


def test_an_error_of_the_step_itself_is_no_stack_trace(invoke: Any) -> None:
    answer = invoke("GET", "/batches/broken")
    assert (answer["statusCode"], json.loads(answer["body"])) == (500, "ZeroDivisionError")
