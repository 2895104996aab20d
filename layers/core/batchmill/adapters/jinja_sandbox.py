"""Jinja2's immutable sandbox, each of its operations held to the limits of `jinja_limits`."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import StrictUndefined, Undefined, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from batchmill.adapters.jinja_limits import bounded, check_binary, check_growth, joined, look

_REMOVED = ("random", "urlize", "xmlattr", "pprint")
"""Filters: one gives another text at each attempt, the others are of no use in a prompt, and slow."""

_EACH, _CONCAT, _MADE = "-each", "-concat", "-made"
"""Filters of ours, that no template can name."""


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment that every template is compiled in. Values that are no text are written as JSON."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    concat = staticmethod(joined)

    def __init__(self) -> None:
        # Not optimized: nothing of a template runs while it is compiled.
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
            optimized=False,
            finalize=as_text,
        )
        del self.globals["lipsum"]
        for name in _REMOVED:
            del self.filters[name]
        self.filters |= {"tojson": to_json, "native": lambda value: value}
        self.filters = {name: _guarded(name, function) for name, function in self.filters.items()}
        self.tests = {name: _guarded(name, function) for name, function in self.tests.items()}
        self.filters |= {_EACH: _each, _CONCAT: _concat, _MADE: bounded}

    def guarded(self, tree: nodes.Template) -> nodes.Template:
        """The template, its loops, `~` and literal lists held to the limits as well."""
        return _Guard().visit(tree)  # type: ignore[no-any-return]

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Raises TooLarge for an operation whose result would be huge."""
        look()
        check_binary(operator, left, right)
        return bounded(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - Jinja2's way
        """Raises TooLarge for a call whose result would be huge."""
        look()
        given = [bounded(each) for each in args]
        named = {name: bounded(each) for name, each in kwargs.items()}
        method = getattr(__obj, "__wrapped__", __obj)  # Jinja2 wraps `format`
        subject = getattr(method, "__self__", None)
        if isinstance(subject, str | bytes | int):
            check_growth(getattr(method, "__name__", ""), subject, [*given, *named.values()])
        return bounded(super().call(__context, __obj, *given, **named))


def to_json(value: object, indent: int | None = None) -> str:
    """JSON as it stood in the row. Jinja2's own filter escapes for HTML, which would change the prompt."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_jsonable)


def as_text(value: object) -> object:
    """What a placeholder puts out. An undefined value must reach Jinja2's own str(), which raises its error."""
    return value if isinstance(value, str | Undefined) else to_json(bounded(value))


def as_value(value: object) -> object:
    """A value as JSON has it. Raises UndefinedError, and ValueError for a number that JSON does not have."""
    if isinstance(value, str | Undefined):
        return str(value)  # raises, of what is undefined
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number that JSON does not have")
    if value is None or isinstance(value, bool | int | float):
        return value
    return json.loads(json.dumps(bounded(value), default=_jsonable, allow_nan=False))


def _jsonable(value: object) -> object:
    """A filter's view as the list it stands for; anything else by its text."""
    return list(value) if isinstance(value, Iterable) else str(value)


def _guarded(name: str, function: Any) -> Callable[..., Any]:
    """A filter or a test that looks at the clock and at what it is given, and is measured by what it has made."""
    own = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        look()
        given = [bounded(each) for each in args[own:]]
        named = {name: bounded(each) for name, each in kwargs.items()}
        check_growth(name, given[0] if given else None, [*given[1:], *named.values()])
        return bounded(function(*args[:own], *given, **named))

    return guarded


class _Guard(NodeTransformer):
    """Puts a filter of ours around what Jinja2 has no hook for."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - as Jinja2 calls it
        self.generic_visit(node)
        node.iter = _filtered(node.iter, _EACH)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), _CONCAT)

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, _MADE)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, _MADE)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, _MADE) if node.ctx == "load" else node


def _filtered(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _each(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        look()
        yield item


def _concat(parts: list[Any]) -> str:
    look()
    return joined(str(part) for part in parts)
