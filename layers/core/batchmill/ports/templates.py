"""Rendering rows into request bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Template(Protocol):
    """A compiled template: any JSON-able value whose strings may hold placeholders."""

    @property
    def columns(self) -> frozenset[str]:
        """The names of columns that it asks for, as far as its text tells."""
        ...

    def render(self, columns: Mapping[str, object]) -> object:
        """The value with every string rendered; a string that is one native expression becomes that value.

        Raises RenderFailed naming what is missing, and for a row that takes too long or grows too large.
        """
        ...


class Templates(Protocol):
    """The compiler."""

    def compile(self, source: object) -> Template:
        """Raises SpecInvalid for a template with a syntax error."""
        ...
