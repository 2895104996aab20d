"""What a template may take of processor time and memory for one row.

Time is looked at between operations, so no single operation may take long; that holds because whatever a template
holds at any moment is of bounded size: what an operation would make is reckoned before it begins, as far as it can
grow, and what it has made is measured.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from jinja2.exceptions import SecurityError

SECONDS_LIMIT = 2.0
"""Of processor time for one row. A template of some lines over a row of some kilobytes takes a hundred microseconds."""

TEXT_LIMIT = 16 * 1024 * 1024
"""Characters of any text that a template makes, its output first of all. A row's own text is no longer."""

ROW_LIMIT = 4 * TEXT_LIMIT
"""Characters of all the texts of one row."""

ITEMS_LIMIT = 1_000_000
"""Of any list or mapping that a template makes or hands on, with those within it."""

BITS_LIMIT = 10_000
"""Of any whole number that a template reckons with."""

_PADDING = frozenset({"batch", "center", "ljust", "rjust", "to_bytes", "zfill"})
"""Filters and methods that make a text or list longer by a number that they are told."""

_REPEATING = frozenset({"expandtabs", "indent", "slice", "tojson"})
"""Those that do so at each line, tab or item."""

_WIDTH_LIMIT = 10_000
_WIDE = re.compile(r"%[^a-zA-Z%]*(\d{5}|\*)|\{[^{}]*(\d{5}|\{)")
"""In a format: a width of five digits, or one that is taken from an argument."""


class TookTooLong(Exception):
    """A row took more than its processor time."""


class TooLarge(SecurityError):
    """A text, a list or a number is larger than a template may make it, or would become so."""


class _Watch(threading.local):
    until: float | None = None
    left = 0


_watch = _Watch()


def begin_row(timed: bool) -> None:
    """Give this thread the characters for one row, and the time where anything looks at it."""
    _watch.left = ROW_LIMIT
    if timed:
        _watch.until = time.thread_time() + SECONDS_LIMIT


def spend(characters: int) -> None:
    """Count a text that was made. Raises TooLarge."""
    _watch.left -= characters
    if _watch.left < 0 or characters > TEXT_LIMIT:
        raise TooLarge


def look() -> None:
    """To be called before each operation. Raises TookTooLong; SecurityError where nothing is being rendered."""
    if _watch.until is None:
        raise SecurityError("not while it is compiled")  # Jinja2 then leaves it to the rendering
    if time.thread_time() > _watch.until:
        raise TookTooLong


def bounded(value: Any) -> Any:
    """The value, measured; an iterator as the list of what it gives. Raises TooLarge."""
    if isinstance(value, Iterator):
        return _listed(value)
    size(value)
    return value


def size(value: Any) -> int:
    """Characters and items of a value, 1 at least. Raises TooLarge above a limit."""
    if isinstance(value, str | bytes):
        refuse_above(TEXT_LIMIT, len(value))
        return len(value) or 1
    if isinstance(value, int):
        refuse_above(BITS_LIMIT, value.bit_length())
    return _measured(value) if isinstance(value, list | tuple | dict) else 1


def joined(texts: Iterable[str]) -> str:
    """The texts as one, given up as soon as it is too long. Raises TooLarge."""
    found, length = [], 0
    for text in texts:
        length += len(text)
        refuse_above(TEXT_LIMIT, length)
        found.append(text)
    spend(length)
    return "".join(found)


def check_binary(operator: str, left: Any, right: Any) -> None:
    """Raises TooLarge where `left operator right` would be huge."""
    size(left), size(right)
    if operator == "%" and isinstance(left, str):
        check_growth("format", left, right if isinstance(right, tuple) else (right,))
    elif isinstance(left, int) and isinstance(right, int):
        refuse_above(BITS_LIMIT, left.bit_length() * right if operator == "**" else 0)
    elif operator == "*":
        for repeated, times in ((left, right), (right, left)):
            if isinstance(repeated, str | bytes | list | tuple) and isinstance(times, int):
                refuse_above(ITEMS_LIMIT, size(repeated) * times)


def check_growth(name: str, subject: Any, arguments: Iterable[Any]) -> None:
    """Raises TooLarge where the filter or method `name` would make far more of its subject than there is."""
    given = list(arguments)
    longest = max((size(each) for each in given), default=0)
    widest = max((abs(each) for each in given if isinstance(each, int)), default=0)
    if name in _PADDING:
        refuse_above(TEXT_LIMIT, size(subject) + widest * longest)
    elif name in _REPEATING:
        refuse_above(TEXT_LIMIT, size(subject) * max(widest, longest))
    elif name == "round":
        refuse_above(BITS_LIMIT, widest)
    elif name == "wordwrap":
        refuse_above(TEXT_LIMIT, size(subject) * longest)
    elif name == "replace":
        refuse_above(TEXT_LIMIT, size(subject) + _times(subject, given) * longest)
    elif name == "join":
        # A filter is given the items and their separator, a text's method the separator and the items.
        refuse_above(TEXT_LIMIT, _length(subject) * max((_length(each) for each in given), default=1))
    elif name in ("format", "format_map"):
        form = str(subject)
        if _WIDE.search(form):
            raise TooLarge
        refuse_above(TEXT_LIMIT, (form.count("%") + form.count("{")) * (longest + _WIDTH_LIMIT))
    elif name == "translate" or (name == "sum" and any(isinstance(each, list | tuple) for each in given)):
        raise SecurityError(f"a template may not {name}")


def refuse_above(limit: int, found: int) -> None:
    """Raises TooLarge."""
    if found > limit:
        raise TooLarge


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple | dict) else 1


def _times(subject: Any, given: list[Any]) -> int:
    """How often `replace` would replace."""
    old = given[0] if given else ""
    if isinstance(subject, bytes) and isinstance(old, bytes):
        return subject.count(old)
    return str(subject).count(str(old))


def _listed(iterator: Iterator[Any]) -> list[Any]:
    found, total = [], 0
    for each in iterator:
        look()
        total += size(each)
        refuse_above(TEXT_LIMIT, total)
        found.append(each)
    return found


def _measured(value: Any) -> int:
    """As a tree: what a list holds twice counts twice, as it will in whatever is made of it."""
    items = text = 0
    left = [value]
    while left:
        each = left.pop()
        items += 1
        if isinstance(each, str | bytes):
            text += len(each)
        elif isinstance(each, dict):
            left += each
            left += each.values()
        elif isinstance(each, list | tuple):
            left += each
        refuse_above(ITEMS_LIMIT, items + len(left))
        refuse_above(TEXT_LIMIT, text)
    return items + text
