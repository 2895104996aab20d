"""JSON schemas of outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Misfit = Callable[[object], str | None]
"""From a JSON value to what does not fit of it, None where all does. Quotes the schema, never the value."""


class Schemas(Protocol):
    """The compiler."""

    def compile(self, schema: object) -> Misfit:
        """Raises SpecInvalid for what is no JSON schema, and for one that refers outside of itself."""
        ...
