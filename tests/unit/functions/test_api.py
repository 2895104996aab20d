"""The API's handler: what it passes to its step, and whose words its log lines carry."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from unit.functions.test_handlers import invoke, sample


def test_the_event_reaches_the_step_whole_and_its_answer_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("api", lambda event: {"given": event}, monkeypatch) == {"given": sample("api")}


def test_log_lines_carry_the_calls_request_id(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(_: dict[str, Any]) -> dict[str, Any]:
        return {"logged as": importlib.import_module("functions.api").log.get_correlation_id()}

    assert invoke("api", step, monkeypatch) == {"logged as": sample("api")["requestContext"]["requestId"]}
