"""Spans of an input, and the arithmetic that cuts objects into them so that they tile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """Bytes [start, end) of the `object`-th input object, or rows where that is a table.

    A line belongs to the span that holds its first byte. `first_line` is the 1-based number of the first line
    that belongs to it, where the plan counted lines; None where it cut blindly.
    """

    object: int
    start: int
    end: int
    first_line: int | None = None

    @property
    def size(self) -> int:
        """Bytes, or rows."""
        return self.end - self.start


def cut(size: int, target: int) -> list[tuple[int, int]]:
    """Cut [0, size) into ranges of nearly equal size, none above `target`.

    Returns [] for size 0. Raises ValueError unless target is at least 1.
    """
    if target < 1:
        raise ValueError("target must be at least 1")
    pieces = -(-size // target)
    return [(size * i // pieces, size * (i + 1) // pieces) for i in range(pieces)]


def gap(spans: Iterable[Span], sizes: Sequence[int]) -> str | None:
    """What keeps spans from tiling objects of these sizes (bytes, or rows), or None if they tile them exactly."""
    at = [0] * len(sizes)
    for span in sorted(spans):
        if not 0 <= span.object < len(sizes):
            return f"a span names object {span.object}, of {len(sizes)}"
        if span.start != at[span.object]:
            word = "gap" if span.start > at[span.object] else "overlap"
            low, high = sorted((span.start, at[span.object]))
            return f"{word} in object {span.object}: {low} to {high}"
        at[span.object] = span.end
    for i, size in enumerate(sizes):
        if at[i] != size:
            return f"object {i} ends at {size}, its spans at {at[i]}"
    return None
