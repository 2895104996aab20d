"""The templates port over Jinja2: no loader, no random values, nothing but the row.

Most templates only put columns between words. Those are told by their syntax tree and joined here, at a tenth of what
Jinja2 takes; every other string runs as Jinja2 compiled it, in the sandbox of `jinja_sandbox`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateSyntaxError, UndefinedError, meta, nodes

from batchmill.adapters.jinja_limits import TookTooLong, TooLarge, begin_row, spend
from batchmill.adapters.jinja_sandbox import Sandbox, as_value, to_json
from batchmill.adapters.jinja_syntax import ROW, Column, asked, native, words_and_columns
from batchmill.domain.errors import RenderFailed, SpecInvalid

TEMPLATE_LIMIT = 64 * 1024
"""Characters in all the strings of one template that hold placeholders."""

_MARKS = ("{{", "{%", "{#")
_QUOTED = re.compile(r"'([^']*)'")
_VALUE = "value"

_Renderer = Callable[[Mapping[str, object]], object]


class JinjaTemplates:
    """Implements `ports.templates.Templates`. Threads may share it."""

    def __init__(self) -> None:
        self._environment = Sandbox()

    def compile(self, source: object) -> CompiledTemplate:
        """Any JSON-able value; its strings are templates, a mapping's keys are not.

        A string that is nothing but `{{ … | native }}` gives the value itself, every other string text.
        Raises SpecInvalid for a syntax error, and for more than 64 KiB of template.
        """
        return _Compiler(self._environment).compiled(source)


class CompiledTemplate:
    """Implements `ports.templates.Template`."""

    def __init__(self, renderer: _Renderer | None, source: object, columns: frozenset[str], timed: bool) -> None:
        self._renderer, self._source, self._timed = renderer, source, timed
        self.columns = columns

    def render(self, columns: Mapping[str, object]) -> object:
        """The value with every string rendered over the row's columns. What holds no placeholder is not copied.

        `row` is the mapping of all columns, for names that are no identifiers (`{{ row["Ticket text"] }}`), unless
        the input has a column of that name. Values that are not text are rendered as JSON.
        Raises RenderFailed; where a column is missing, `param` is its name.
        """
        if self._renderer is None:
            return self._source
        begin_row(self._timed)
        return self._renderer(columns)


class _Compiler:
    """Compiles one template."""

    def __init__(self, environment: Sandbox) -> None:
        self._environment = environment
        self._columns: set[str] = set()
        self._length = 0
        self._timed = False

    def compiled(self, source: object) -> CompiledTemplate:
        renderer = self._any(source, "")
        return CompiledTemplate(renderer, source, frozenset(self._columns), self._timed)

    def _any(self, source: object, place: str) -> _Renderer | None:
        """None for what holds no placeholder."""
        if isinstance(source, str):
            return self._text(source, place) if any(mark in source for mark in _MARKS) else None
        if isinstance(source, Mapping):
            named = {key: self._any(value, f"{place}.{key}".lstrip(".")) for key, value in source.items()}
            return _filled(dict, source, named)
        if isinstance(source, list | tuple):
            items = {i: self._any(value, f"{place}[{i}]") for i, value in enumerate(source)}
            return _filled(list, source, items)
        return None

    def _text(self, source: str, place: str) -> _Renderer:
        self._length += len(source)
        if self._length > TEMPLATE_LIMIT:
            raise SpecInvalid(f"the template is longer than {TEMPLATE_LIMIT} characters")
        try:
            tree = self._environment.parse(source)
            if list(meta.find_referenced_templates(tree)):
                raise SpecInvalid(f"{_at(place)}a template cannot include, import or extend another")
            pieces = words_and_columns(tree, self._environment)
            value = native(tree)
            self._columns |= asked(self._environment.parse(source), self._environment)  # which changes the tree
            run = self._value(value) if value is not None else self._run(tree)
        except TemplateSyntaxError as error:
            raise SpecInvalid(f"{_at(place)}line {error.lineno} of the template: {error.message}") from None
        except (SyntaxError, RecursionError, MemoryError):  # of the Python that Jinja2 makes of it
            raise SpecInvalid(f"{_at(place)}the template is nested too deeply, or chains too many filters") from None
        code = _Code(run, source, place)
        joins = pieces is not None and value is None
        self._timed |= not joins or any(isinstance(piece, Column) and piece.by_row for piece in pieces or ())
        return _Join(pieces, code, place) if pieces is not None and joins else code

    def _run(self, tree: nodes.Template) -> _Renderer:
        template = self._template(tree)
        concat = self._environment.concat
        return lambda columns: concat(template.root_render_func(template.new_context(_names(columns))))

    def _value(self, expression: nodes.Expr) -> _Renderer:
        assign = nodes.Assign(nodes.Name(_VALUE, "store"), expression, lineno=expression.lineno)
        template = self._template(nodes.Template([assign], lineno=1))

        def render(columns: Mapping[str, object]) -> object:
            context = template.new_context(_names(columns))
            for _ in template.root_render_func(context):
                pass
            return as_value(context.vars[_VALUE])

        return render

    def _template(self, tree: nodes.Template) -> JinjaTemplate:
        tree.set_environment(self._environment)
        code = self._environment.compile(self._environment.guarded(tree))
        return JinjaTemplate.from_code(self._environment, code, self._environment.globals)


def _filled(kind: Callable[[Any], Any], source: Any, parts: Mapping[Any, _Renderer | None]) -> _Renderer | None:
    """A mapping or a list with what is rendered of it in place; None where nothing is."""
    alive = [(place, render) for place, render in parts.items() if render is not None]

    def render(columns: Mapping[str, object]) -> object:
        made = kind(source)
        for place, part in alive:
            made[place] = part(columns)
        return made

    return render if alive else None


class _Code:
    """A string as Jinja2 compiled it, its errors as ours."""

    def __init__(self, run: _Renderer, source: str, place: str) -> None:
        self._run, self._source, self._place = run, source, place

    def __call__(self, columns: Mapping[str, object]) -> object:
        try:
            return self._run(columns)
        except UndefinedError as error:
            raise _missing(self._place, _told(error, self._source)) from None
        except TookTooLong:
            raise RenderFailed(f"{_at(self._place)}the template takes too long: is there a loop in a loop?") from None
        except TooLarge:
            raise _too_large(self._place) from None
        except Exception as error:  # noqa: BLE001 - a template runs the row's data through any operation there is
            # Only the class: the message may quote the row.
            raise RenderFailed(f"{_at(self._place)}the template failed with {type(error).__name__}") from None


class _Join:
    """A string of words and columns."""

    def __init__(self, pieces: list[str | Column], code: _Code, place: str) -> None:
        self._texts = [piece if isinstance(piece, str) else "" for piece in pieces]
        self._places = [(n, piece.name) for n, piece in enumerate(pieces) if isinstance(piece, Column)]
        self._by_row = any(piece.by_row for piece in pieces if isinstance(piece, Column))
        self._code, self._place = code, place

    def __call__(self, columns: Mapping[str, object]) -> object:
        if self._by_row and ROW in columns:
            return self._code(columns)  # a column of that name hides the row
        texts = self._texts.copy()
        size = 0
        try:
            for n, name in self._places:
                value = columns[name]
                text = value if type(value) is str else to_json(value) if not isinstance(value, str) else str(value)
                size += len(text)
                texts[n] = text
            spend(size)
        except KeyError as error:
            raise _missing(self._place, str(error.args[0])) from None
        except TooLarge:
            raise _too_large(self._place) from None
        return "".join(texts)


def _names(columns: Mapping[str, object]) -> dict[str, object]:
    return {ROW: columns, **columns}


def _missing(place: str, name: str | None) -> RenderFailed:
    what = repr(name) if name is not None else "a value that the template asks for"
    return RenderFailed(f"{_at(place)}the row lacks {what}", name)


def _too_large(place: str) -> RenderFailed:
    return RenderFailed(f"{_at(place)}the template makes too large a text, list or number")


def _told(error: UndefinedError, source: str) -> str | None:
    """What is missing, by name. A name that the template computed from the row is not told."""
    named = _QUOTED.findall(error.message or "")
    return named[-1] if named and named[-1] in source else None


def _at(place: str) -> str:
    return f"{place}: " if place else ""
