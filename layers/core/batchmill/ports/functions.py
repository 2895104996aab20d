"""Functions that others than the state machine set going."""

from __future__ import annotations

from typing import Protocol


class Functions(Protocol):
    """Every method may raise Transient."""

    def begin(self, name: str, payload: bytes) -> None:
        """Have a function called with `payload` (JSON), and do not wait for it. A failed call is tried again."""
        ...
