"""Rendering rows into request bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Template(Protocol):
    """A compiled template: any JSON-able value whose strings may hold placeholders."""

    def render(self, columns: Mapping[str, object]) -> object:
        """The value with every string rendered. Raises RenderFailed naming what is missing."""
        ...


class Templates(Protocol):
    """The compiler."""

    def compile(self, source: object) -> Template:
        """Raises SpecInvalid for a template with a syntax error."""
        ...
