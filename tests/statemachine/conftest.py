"""One embedded state machine a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchmill.local.router import Router
from statemachine.scripted import Machine, ScriptedLambda

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def machine() -> Iterator[Machine]:
    router, functions = Router(), ScriptedLambda()
    router.mount("lambda", functions)
    router.start()
    try:
        yield Machine(router, functions)
    finally:
        router.stop()
