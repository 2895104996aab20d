"""The state machine: starting executions, answering task tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Workflow(Protocol):
    """Every method may raise Transient."""

    def start(self, name: str, payload: Mapping[str, object]) -> bool:
        """Start an execution; False if one of that name was started before (which is success)."""
        ...

    def succeed(self, token: str) -> None:
        """Answer a task token with {}. A token that waits no longer is ignored."""
        ...

    def fail(self, token: str, error: str, cause: str) -> None:
        """Fail a task token with an error name that the machine's Catch knows. A stale token is ignored."""
        ...
