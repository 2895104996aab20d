"""The handlers over their sample events: what they pass to their step, and what they make of its answer."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batchmill import bootstrap
from batchmill.domain.errors import Transient

EVENTS = Path(__file__).parents[3] / "events"
PAYLOAD_STEPS = ["plan", "admit", "dispatch", "close", "land", "complete", "cancel", "pause"]
MESSAGE_STEPS = ["intake", "resume"]


@dataclass(frozen=True)
class Context:
    """What a handler's logger reads of Lambda's context."""

    function_name: str = "batchmill"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:batchmill"
    aws_request_id: str = "request"


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def invoke(name: str, step: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls functions/<name>.py with its sample event and `step` in the step's place."""
    monkeypatch.setattr(bootstrap, name, lambda: step)
    return importlib.import_module(f"functions.{name}").handler(sample(name), Context())


@pytest.mark.parametrize("name", PAYLOAD_STEPS)
def test_a_payload_reaches_the_step_whole_and_its_answer_is_returned(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke(name, lambda payload: {"given": payload}, monkeypatch) == {"given": sample(name)}


@pytest.mark.parametrize("name", PAYLOAD_STEPS)
def test_a_steps_error_leaves_the_handler_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(_: dict[str, Any]) -> Any:
        raise Transient("busy")

    with pytest.raises(Transient, match="busy"):
        invoke(name, step, monkeypatch)


@pytest.mark.parametrize("name", PAYLOAD_STEPS)
def test_every_line_of_an_invocation_names_its_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    invoke(name, lambda _: {}, monkeypatch)
    module = importlib.import_module(f"functions.{name}")
    assert module.log.get_current_keys()["batch_id"] == sample(name)["batch_id"]


@pytest.mark.parametrize("name", MESSAGE_STEPS)
def test_each_message_reaches_the_step_once_in_order(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    assert invoke(name, taken.append, monkeypatch) == {"batchItemFailures": []}
    assert taken == [record["body"] for record in sample(name)["Records"]]


@pytest.mark.parametrize("name", MESSAGE_STEPS)
def test_a_message_that_fails_comes_back_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sample(name)["Records"][0]

    def step(body: str) -> None:
        if body == first["body"]:
            raise Transient("busy")

    assert invoke(name, step, monkeypatch) == {"batchItemFailures": [{"itemIdentifier": first["messageId"]}]}


@pytest.mark.parametrize("name", MESSAGE_STEPS)
def test_messages_that_all_fail_all_come_back_without_failing_the_function(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(_: str) -> None:
        raise Transient("busy")

    failed = invoke(name, step, monkeypatch)["batchItemFailures"]
    assert [item["itemIdentifier"] for item in failed] == [r["messageId"] for r in sample(name)["Records"]]


@pytest.mark.parametrize("name", MESSAGE_STEPS)
def test_a_message_that_fails_is_logged_with_its_error(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def step(_: str) -> None:
        raise Transient("busy")

    processor = importlib.import_module(f"functions.{name}").processor
    monkeypatch.setattr(processor, "logger", logging.getLogger("a-logger-that-caplog-sees"))
    invoke(name, step, monkeypatch)
    assert caplog.records[0].exc_info is not None
    assert isinstance(caplog.records[0].exc_info[1], Transient)


def test_the_sweep_returns_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("sweep", lambda: {"open": 3}, monkeypatch) == {"open": 3}


def test_each_callback_reaches_its_step_with_its_receipt_and_its_count_and_a_failed_one_comes_back_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[tuple[str, str, int]] = []

    def step(body: str, receipt: str, receives: int) -> None:
        taken.append((body, receipt, receives))
        if len(taken) == 1:
            raise Transient("busy")

    records = sample("notify")["Records"]
    answer = invoke("notify", step, monkeypatch)
    assert taken == [(record["body"], record["receiptHandle"], 1) for record in records]
    assert answer == {"batchItemFailures": [{"itemIdentifier": records[0]["messageId"]}]}
