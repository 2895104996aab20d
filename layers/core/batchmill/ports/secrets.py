"""Secrets, as the steps read them."""

from __future__ import annotations

from typing import Protocol


class Secrets(Protocol):
    """Every method may raise Transient."""

    def read(self, name: str) -> str:
        """The secret's text as it is now. Raises Gone where there is none."""
        ...
