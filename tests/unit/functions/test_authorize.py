from __future__ import annotations

from typing import Any

import pytest

from unit.functions.test_handlers import invoke, sample


def test_the_event_reaches_the_step_whole_and_its_policy_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("authorize", lambda event: {"given": event}, monkeypatch) == {"given": sample("authorize")}


def test_an_error_of_the_step_leaves_the_handler_so_that_nobody_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(_: dict[str, Any]) -> Any:
        raise LookupError("no secret")

    with pytest.raises(LookupError):
        invoke("authorize", step, monkeypatch)
