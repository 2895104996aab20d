"""The templates port over Jinja2's immutable sandbox: no loader, no random values, nothing but the row.

A template is a user's own, run in the user's own account; the sandbox keeps it from this process's insides, and the
limits below from the common bombs. Loops inside loops cannot be bounded here: each is held to 100,000 rounds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, UndefinedError, meta
from jinja2 import Template as JinjaTemplate
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from batchmill.domain.errors import RenderFailed, SpecInvalid

TEMPLATE_LIMIT = 64 * 1024
"""Characters in all the strings of one template."""
_PRODUCT_LIMIT = 1_000_000
_POWER_BITS = 10_000
_QUOTED = re.compile(r"'([^']*)'")

_Renderer = Callable[[Mapping[str, object]], object]


class JinjaTemplates:
    """Implements `ports.templates.Templates`."""

    def __init__(self) -> None:
        self._environment = _environment()

    def compile(self, source: object) -> CompiledTemplate:
        """Any JSON-able value; its strings are templates, a mapping's keys are not.

        Raises SpecInvalid for a syntax error, and for more than 64 KiB of template.
        """
        if _length(source) > TEMPLATE_LIMIT:
            raise SpecInvalid(f"the template is longer than {TEMPLATE_LIMIT} characters")
        return CompiledTemplate(self._compiled(source, ""))

    def _compiled(self, source: object, place: str) -> _Renderer:
        if isinstance(source, str):
            return self._text(source, place)
        if isinstance(source, Mapping):
            named = {key: self._compiled(value, f"{place}.{key}".lstrip(".")) for key, value in source.items()}
            return lambda columns: {key: render(columns) for key, render in named.items()}
        if isinstance(source, list | tuple):
            items = [self._compiled(value, f"{place}[{i}]") for i, value in enumerate(source)]
            return lambda columns: [render(columns) for render in items]
        return lambda _columns: source

    def _text(self, source: str, place: str) -> _Renderer:
        if not any(mark in source for mark in ("{{", "{%", "{#")):
            return lambda _columns: source  # as it is: Jinja2 would turn \r\n into \n
        try:
            if list(meta.find_referenced_templates(self._environment.parse(source))):
                raise SpecInvalid(f"{_at(place)}a template cannot include, import or extend another")
            template = self._environment.from_string(source)
        except TemplateSyntaxError as error:
            raise SpecInvalid(f"{_at(place)}line {error.lineno} of the template: {error.message}") from None
        return lambda columns: _render(template, source, place, columns)


class CompiledTemplate:
    """Implements `ports.templates.Template`."""

    def __init__(self, renderer: _Renderer) -> None:
        self._renderer = renderer

    def render(self, columns: Mapping[str, object]) -> object:
        """The value with every string rendered over the row's columns, always to text.

        `row` is the mapping of all columns, for names that are no identifiers (`{{ row["Ticket text"] }}`), unless
        the input has a column of that name. Values that are not text are rendered as JSON.
        Raises RenderFailed naming what is missing.
        """
        return self._renderer({"row": columns, **columns})


class _Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox, with `*` and `**` held to results that fit a request."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Raises SecurityError for an operation whose result would be huge."""
        if operator == "*" and _product(left, right) > _PRODUCT_LIMIT:
            raise SecurityError("a repetition is too long")
        if operator == "**" and _power_bits(left, right) > _POWER_BITS:
            raise SecurityError("a power is too large")
        return super().call_binop(context, operator, left, right)


def _environment() -> _Sandbox:
    environment = _Sandbox(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_as_text)
    environment.filters["tojson"] = _tojson
    # Requests must be the same at every attempt.
    del environment.filters["random"], environment.globals["lipsum"]
    return environment


def _as_text(value: object) -> object:
    # An undefined value must reach Jinja2's own str(), which raises its error.
    return value if isinstance(value, str | Undefined) else _tojson(value)


def _tojson(value: object, indent: int | None = None) -> str:
    """JSON as it stood in the row. Jinja2's own filter escapes for HTML, which would change the prompt."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_jsonable)


def _jsonable(value: object) -> object:
    """A filter's generator as the list it stands for; anything else by its text."""
    return list(value) if isinstance(value, Iterable) else str(value)


def _product(left: object, right: object) -> int:
    for text, times in ((left, right), (right, left)):
        if isinstance(text, str | bytes | list | tuple) and isinstance(times, int):
            return len(text) * times
    return 0


def _power_bits(left: object, right: object) -> int:
    return left.bit_length() * right if isinstance(left, int) and isinstance(right, int) else 0


def _render(template: JinjaTemplate, source: str, place: str, columns: Mapping[str, object]) -> str:
    try:
        return template.render(columns)
    except UndefinedError as error:
        raise RenderFailed(f"{_at(place)}{_missing(error, source)}") from None
    except Exception as error:  # noqa: BLE001 - a template runs the row's data through any operation there is
        # Only the class: the message may quote the row.
        raise RenderFailed(f"{_at(place)}the template failed with {type(error).__name__}") from None


def _missing(error: UndefinedError, source: str) -> str:
    """What is missing, by name. A name that the template computed from the row is not told."""
    named = _QUOTED.findall(error.message or "")
    if named and named[-1] in source:
        return f"the row lacks {named[-1]!r}"
    return "the row lacks a value that the template asks for"


def _at(place: str) -> str:
    return f"{place}: " if place else ""


def _length(source: object) -> int:
    if isinstance(source, str):
        return len(source)
    if isinstance(source, Mapping):
        return sum(_length(value) for value in source.values())
    return sum(_length(value) for value in source) if isinstance(source, list | tuple) else 0
