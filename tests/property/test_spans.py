"""Spans tile, whatever is cut and wherever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchmill.domain.span import Span, cut, gap


@given(size=st.integers(0, 10**13), target=st.integers(10**9, 10**12))
def test_cuts_tile_and_none_is_larger_than_asked(size: int, target: int) -> None:
    ranges = cut(size, target)
    assert gap((Span(0, start, end) for start, end in ranges), [size]) is None
    assert all(0 < end - start <= target for start, end in ranges)


@pytest.mark.parametrize(
    ("spans", "sizes", "fault"),
    [
        ([Span(0, 0, 4)], [5], "object 0 ends at 5, its spans at 4"),
        ([Span(0, 0, 4), Span(0, 3, 5)], [5], "overlap in object 0: 3 to 4"),
        ([Span(0, 0, 2), Span(0, 3, 5)], [5], "gap in object 0: 2 to 3"),
        ([Span(1, 0, 2)], [2], "a span names object 1, of 1"),
        ([], [1], "object 0 ends at 1, its spans at 0"),
        ([Span(0, 0, 5), Span(1, 0, 2)], [5, 2], None),
        ([], [0], None),
    ],
)
def test_what_does_not_tile_is_named(spans: list[Span], sizes: list[int], fault: str | None) -> None:
    assert gap(spans, sizes) == fault
