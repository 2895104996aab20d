from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from batchmill.contracts.plan import PinnedObject
from batchmill.domain.errors import InputChanged, InputTooLarge
from batchmill.domain.span import Span, gap
from batchmill.ports.objects import ObjectInfo
from batchmill.ports.tables import RowGroup, TableFooter
from batchmill.steps.planning import cutting
from batchmill.steps.planning.cutting import READS_AHEAD, Cutting, Target
from batchmill.steps.shard.reading import BLOCK_BYTES
from fakes.objects import MemoryObjects

MIB = 1024 * 1024
GB = 10**9


class Store(MemoryObjects):
    """Objects that are sizes alone, of lines of 100 bytes, of which each tenth begins with a quote.

    With `together`, that many reads have to be under way before the first of them is answered.
    """

    def __init__(self, *sizes: int, together: int = 0) -> None:
        super().__init__()
        self.items = [PinnedObject(bucket="input", key=str(n), size=size, etag="e") for n, size in enumerate(sizes)]
        self.bytes, self.left, self.lock = 0, together, threading.Lock()
        self.barrier = threading.Barrier(max(1, together))

    def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:
        with self.lock:
            self.bytes += end - start
            self.left -= 1
            waits = self.left >= 0
        if waits:
            self.barrier.wait(30)
        first = start // 1000
        body = (b'"' + b"x" * 98 + b"\n" + (b"x" * 99 + b"\n") * 9) * ((end - first * 1000) // 1000 + 1)
        return body[start - first * 1000 : end - first * 1000]

    def cut(self, target: int, **options: Any) -> list[Span]:
        return list(Cutting(self, self.items, Target(target, target), **options).spans())


def items(*extents: int) -> list[PinnedObject]:
    return [PinnedObject(bucket="b", key=str(n), size=9, rows=rows, etag="e") for n, rows in enumerate(extents)]


def tables(target: int, *groups: Sequence[int]) -> list[tuple[int, int, int]]:
    """Spans of tables with these groups, as (object, start, end)."""
    footers = {n: TableFooter(tuple(RowGroup(rows, 1) for rows in each), ("a",)) for n, each in enumerate(groups)}
    pinned = items(*(footer.rows for footer in footers.values()))
    spans = list(Cutting(MemoryObjects(), pinned, Target(1, target), footers=footers).spans())
    assert gap(spans, [item.extent for item in pinned]) is None
    return [(span.object, span.start, span.end) for span in spans]


def test_a_terabyte_of_lines_is_cut_unread() -> None:
    store = Store(10**12, 0, 50)
    spans = store.cut(64 * MIB)
    assert gap(spans, [item.size for item in store.items]) is None
    assert (store.bytes, len(spans)) == (0, 14903)
    assert {span.first_line for span in spans[:-1]} == {None}
    assert spans[-1] == Span(2, 0, 50, 1)


def test_lines_are_counted_where_there_are_few_in_all() -> None:
    store = Store(30 * MIB, 30 * MIB)
    spans = store.cut(7 * MIB)
    assert gap(spans, [30 * MIB] * 2) is None
    assert all(span.start % 100 == 0 and span.first_line == 1 + span.start // 100 for span in spans)
    assert store.bytes < 56 * MIB
    assert {span.first_line for span in Store(30 * MIB, 40 * MIB).cut(7 * MIB)} == {None}


def test_what_is_one_span_is_not_read_whatever_its_format() -> None:
    store = Store(10, 20, 10)
    assert store.cut(20, delimiter=",") == [Span(0, 0, 10, 1), Span(1, 0, 20, 1), Span(2, 0, 10, 1)]
    assert store.bytes == 0


def test_a_csv_is_read_once_with_many_reads_under_way_and_cut_where_records_begin() -> None:
    store = Store(100 * MIB, 100 * MIB, together=READS_AHEAD)
    spans = store.cut(9 * MIB, delimiter=",")
    assert gap(spans, [100 * MIB] * 2) is None
    assert len(spans) == 24
    # Every second quote closes what the one before it opened: between 0 and 1,100 of each 2,000 bytes no record begins.
    assert {span.start % 2000 for span in spans} <= {0, *range(1100, 2000, 100)}
    assert store.bytes <= 200 * MIB


def test_more_csv_than_can_be_read_is_refused_with_the_way_out() -> None:
    store = Store(30 * GB, 30 * GB)
    with pytest.raises(InputTooLarge, match=r"60,000,000,000 bytes of CSV .* say csv.quoted_newlines: false"):
        store.cut(64 * MIB, delimiter=",")
    assert store.bytes == 0
    assert len(store.cut(64 * MIB)) == 896


def test_cutting_goes_on_after_any_span_and_reads_only_what_follows() -> None:
    store = Store(100 * MIB, 20 * MIB)
    cuts = Cutting(store, store.items, Target(9 * MIB, 0), ",")
    spans = list(cuts.spans())
    store.bytes = 0
    assert list(cuts.spans(spans[9])) == spans[10:]
    assert store.bytes < 45 * MIB
    assert list(cuts.spans(spans[-1])) == []


def test_cutting_may_be_left_while_reads_are_under_way() -> None:
    store = Store(100 * MIB)
    found = Cutting(store, store.items, Target(9 * MIB, 0), ",").spans()
    next(found)
    assert isinstance(found, Generator)
    found.close()
    assert store.bytes <= (READS_AHEAD + 2) * BLOCK_BYTES


def test_a_csv_that_is_overwritten_meanwhile_is_told() -> None:
    objects = MemoryObjects()
    objects.put("input", "a", b"1,2\n" * 100)
    old = PinnedObject(bucket="input", key="a", size=400, etag="another")
    with pytest.raises(InputChanged):
        list(Cutting(objects, [old], Target(100, 0), ",").spans())


def test_a_laid_piece_is_cut_at_its_marks_unread() -> None:
    store = Store(1000)
    piece = store.items[0].model_copy(update={"source": "s3://input/a.gz", "first_line": 500})
    marks = {0: [(90, 510), (210, 520), (700, 560), (720, 570)]}
    cuts = Cutting(store, [piece], Target(200, 0), ",", marks=marks)
    assert list(cuts.spans()) == [
        Span(0, 0, 210, 500),
        Span(0, 210, 700, 520),
        Span(0, 700, 1000, 560),
    ]
    assert store.bytes == 0


def test_a_laid_piece_without_marks_is_read_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "COUNTED_BYTES", 0)
    store = Store(4000)
    piece = store.items[0].model_copy(update={"source": "s3://input/a.gz", "first_line": 500})
    spans = list(Cutting(store, [piece], Target(1500, 0)).spans())
    assert [(span.start, span.first_line) for span in spans] == [(0, 500), (1400, 514), (2700, 527)]


def test_whole_row_groups_are_put_together_as_far_as_they_fit() -> None:
    assert tables(10, [4, 4, 4, 4]) == [(0, 0, 8), (0, 8, 16)]
    assert tables(10, [10, 10]) == [(0, 0, 10), (0, 10, 20)]
    assert tables(10, [0, 3, 0]) == [(0, 0, 3)]


def test_a_row_group_larger_than_a_shard_is_cut_by_itself() -> None:
    assert tables(10, [4, 25, 4]) == [(0, 0, 4), (0, 4, 12), (0, 12, 20), (0, 20, 29), (0, 29, 33)]


def test_a_table_without_rows_has_no_span() -> None:
    assert tables(10, [], [3], [0]) == [(1, 0, 3)]
