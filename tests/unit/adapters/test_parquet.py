from __future__ import annotations

import contextlib
import datetime
import decimal
import io
import json
import random
import resource
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.adapters import parquet
from batchmill.adapters.parquet import ParquetTables
from batchmill.domain.errors import InputChanged, InputInvalid
from batchmill.domain.request import RowError
from batchmill.ports.objects import ObjectInfo
from fakes.objects import MemoryObjects

MIB = 1024 * 1024


class File:
    """One Parquet file in the store."""

    def __init__(self, columns: dict[str, Any] | pa.Table | bytes, **options: Any) -> None:
        if not isinstance(columns, bytes):
            sink = io.BytesIO()
            pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), sink, **options)
            columns = sink.getvalue()
        self.body, self.objects = columns, MemoryObjects()
        self.objects.put("input", "a.parquet", columns)
        self.info: ObjectInfo = self.objects.head("input", "a.parquet")
        self.tables = ParquetTables(self.objects)

    def rows(self, start: int = 0, end: int | None = None) -> list[Any]:
        return list(self.tables.rows(self.info, start, self.tables.footer(self.info).rows if end is None else end))


def only(kind: pa.DataType, value: Any) -> Any:
    """What one value of a type is read as."""
    (row,) = File({"x": pa.array([value], type=kind)}).rows()
    return row.message if isinstance(row, RowError) else row["x"]


NOON = datetime.datetime(2024, 2, 29, 12, 0, 0, 123456)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.bool_(), True, True),
        (pa.uint64(), 2**64 - 1, 2**64 - 1),
        (pa.int8(), -1, -1),
        (pa.float32(), 0.5, 0.5),
        (pa.float16(), 0.5, 0.5),
        (pa.null(), None, None),
        (pa.string(), "né\x00", "né\x00"),
        (pa.large_string(), "x", "x"),
        (pa.decimal128(38, 2), decimal.Decimal("123456789012345678901234567890123456.70"), None),
        (pa.decimal256(60, 3), decimal.Decimal("-1.500"), "-1.500"),
        (pa.date32(), NOON.date(), "2024-02-29"),
        (pa.time64("us"), NOON.time(), "12:00:00.123456"),
        (pa.timestamp("us"), NOON, "2024-02-29T12:00:00.123456"),
        (pa.timestamp("ns"), -1, "1969-12-31T23:59:59.999999999"),
        (pa.timestamp("ms", "Europe/Berlin"), NOON.replace(microsecond=0), "2024-02-29T12:00:00.000Z"),
        (pa.duration("ms"), 5, 5),
        (pa.binary(), b"\xff\x00", "/wA="),
        (pa.binary(2), b"ab", "YWI="),
        (pa.uuid(), uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (pa.dictionary(pa.int32(), pa.string()), "x", "x"),
        (pa.list_(pa.string()), ["a", None], ["a", None]),
        (pa.large_list(pa.int32()), [], []),
        (pa.list_(pa.string(), 2), ["a", "b"], ["a", "b"]),
        (pa.list_(pa.list_(pa.date32())), [[NOON.date()], None, []], [["2024-02-29"], None, []]),
        (pa.struct([("a", pa.struct([("b", pa.binary())]))]), {"a": {"b": b"ab"}}, {"a": {"b": "YWI="}}),
        (pa.struct([("a", pa.string())]), None, None),
        (
            pa.map_(pa.string(), pa.timestamp("s")),
            [("k", NOON.replace(microsecond=0))],
            {"k": "2024-02-29T12:00:00.000"},
        ),
        (pa.map_(pa.int32(), pa.string()), [(1, None)], {"1": None}),
        (pa.list_(pa.struct([("n", pa.decimal128(5, 2))])), [{"n": decimal.Decimal("1.50")}], [{"n": "1.50"}]),
    ],
    ids=str,
)
def test_a_value_is_read_as_json_has_it(kind: pa.DataType, value: Any, expected: Any) -> None:
    read = only(kind, value)
    assert read == (str(value) if isinstance(value, decimal.Decimal) else expected)
    json.dumps(read, allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (pa.float64(), float("nan"), "x: NaN or an infinity"),
        (pa.list_(pa.float64()), [1.0, float("inf")], "x: NaN or an infinity"),
        (pa.struct([("a", pa.map_(pa.string(), pa.float32()))]), {"a": [("k", float("-inf"))]}, "x: NaN or an inf"),
        (pa.timestamp("s"), 10**13, "x: a date or time beyond"),
    ],
    ids=str,
)
def test_a_value_that_json_does_not_have_is_its_rows_error(kind: pa.DataType, value: Any, words: str) -> None:
    assert words in only(kind, value)


def test_a_fault_is_of_its_own_row_alone() -> None:
    rows = File({"x": [[1.0], [], None, [2.0, float("nan")], [3.0]]}).rows()
    assert [isinstance(row, RowError) for row in rows] == [False, False, False, True, False]


def test_text_that_is_not_utf8_is_its_rows_error() -> None:
    text = pa.array([b"good", b"\xff", None]).view(pa.string())
    nested = pa.ListArray.from_arrays([0, 1, 2, 3], text)
    for column in (text, nested):
        good, bad, none = File({"x": column}).rows()
        assert bad == RowError("invalid_utf8", "x: text that is not UTF-8")
        assert not isinstance(good, RowError)
        assert not isinstance(none, RowError)


def test_any_range_of_many_groups_gives_its_rows() -> None:
    columns = {"s": ["a", "b", None] * 20, "l": [["x", {"y": "z"}["y"]], None, []] * 20, "n": list(range(60))}
    file = File(columns, row_group_size=7)
    rows = file.rows()
    assert rows == pa.table(columns).to_pylist()
    for start in range(0, 60, 5):
        assert file.rows(start, start + 9) == rows[start : start + 9]


def test_a_group_too_large_to_hold_is_streamed_and_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random.seed(0)
    file = File({"a": [random.randbytes(99).hex() for _ in range(5000)], "b": list(range(5000))})
    rows = file.rows(100, 4000)
    monkeypatch.setattr(parquet, "_WHOLE_COLUMNS", 1000)
    monkeypatch.setattr(parquet, "_STREAM_BYTES", 1000)
    reads: list[str] = []
    file.objects.before = lambda operation, bucket, key: reads.append(operation)
    assert file.rows(100, 4000) == rows
    assert len(reads) > 3
    monkeypatch.undo()
    reads.clear()
    assert file.rows(100, 4000) == rows
    assert len(reads) == 3


def test_the_footer_is_two_reads_of_itself_alone() -> None:
    file = File({"x": ["text"] * 100_000}, row_group_size=1000)
    read: list[int] = []

    class Counting(MemoryObjects):
        def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:
            read.append(end - start)
            return file.objects.read(pinned, start, end)

    assert ParquetTables(Counting()).footer(file.info).rows == 100_000
    size = int.from_bytes(file.body[-8:-4], "little")
    assert read == [8, size]


def test_a_table_without_rows_has_none() -> None:
    file = File({"x": pa.array([], pa.string())})
    assert (file.rows(), file.tables.footer(file.info).columns) == ([], ("x",))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"PAR1" + bytes(20) + (10**6).to_bytes(4, "little") + b"PAR1", "a Parquet footer of 1,000,000 bytes"),
        (b"PAR1" + bytes(20) + (0).to_bytes(4, "little") + b"PAR1", "a Parquet footer of 0 bytes"),
        (b"PAR1" + bytes(20) + (20).to_bytes(4, "little") + b"PAR1", "a damaged Parquet footer"),
        (b"PAR1" + bytes(20) + (20).to_bytes(4, "little") + b"PARE", "an encrypted footer"),
        (b"PAR1" + bytes(20), "does not end with PAR1"),
        (b"x", "does not end with PAR1"),
    ],
)
def test_a_footer_that_is_none_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(InputInvalid, match=words):
        File(body).rows()


def test_a_column_that_is_named_twice_is_refused() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(InputInvalid, match="names a column twice: a"):
        File(twice).rows()


def test_a_footer_beyond_the_limit_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "FOOTER_LIMIT", 100)
    with pytest.raises(InputInvalid, match="of at most 100"):
        File({"x": [1]}).rows()


def test_row_groups_that_decompress_to_too_much_are_refused_by_the_footer(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = File({"x": [0] * 10 * MIB}, use_dictionary=False, compression="zstd", row_group_size=10 * MIB)
    assert len(bomb.body) < MIB / 10
    monkeypatch.setattr(parquet, "RATIO_FROM", 10 * MIB)
    with pytest.raises(InputInvalid, match=r"row group 0 takes .* more than 1,000 times the file's"):
        bomb.tables.footer(bomb.info)
    monkeypatch.setattr(parquet, "GROUP_LIMIT", MIB)
    with pytest.raises(InputInvalid, match=r"row group 0 takes .* write smaller row groups"):
        bomb.tables.footer(bomb.info)


def test_a_text_that_many_rows_share_is_held_once() -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(["x" * MIB]))
    file = File({"x": texts, "l": pa.ListArray.from_arrays(list(range(2001)), texts)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = file.rows()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 * 1024
    good = [row for row in rows if not isinstance(row, RowError)]
    assert (len(rows), rows[-1].code) == (2000, "line_too_long")
    assert len(good) <= parquet.SPAN_LIMIT / MIB
    assert "fewer shard_rows" in rows[-1].message


def test_a_row_beyond_the_limit_is_its_own_error() -> None:
    rows = File({"x": ["a", "b" * 17 * MIB, "c"], "l": [["x"] * 3] * 3}).rows()
    assert [row.code if isinstance(row, RowError) else row["x"] for row in rows] == ["a", "line_too_long", "c"]


def test_a_damaged_page_costs_the_rows_of_its_group_and_no_others() -> None:
    values = [f"text number {n}" for n in range(300)]
    file = File({"x": values}, row_group_size=100, compression="zstd", use_dictionary=False)
    column = pq.read_metadata(io.BytesIO(file.body)).row_group(1).column(0)
    at = column.data_page_offset + column.total_compressed_size // 2
    damaged = File(file.body[:at] + bytes(50) + file.body[at + 50 :])
    rows = damaged.rows()
    assert [row["x"] for row in (*rows[:100], *rows[200:])] == values[:100] + values[200:]
    assert {row.code for row in rows[100:200]} == {"unreadable_row"}


def test_a_table_that_is_overwritten_while_it_is_read_is_refused() -> None:
    file = File({"x": ["a"] * 100}, row_group_size=10)
    for count in range(1, 13):
        reads: list[str] = []

        def overwritten(operation: str, bucket: str, key: str, reads: list[str] = reads, last: int = count) -> None:
            if operation == "read":
                reads.append(operation)
                if len(reads) == last:
                    file.objects.put("input", "a.parquet", b"another")

        file.objects.put("input", "a.parquet", file.body)
        file.objects.before = overwritten
        with pytest.raises(InputChanged):
            list(file.tables.rows(file.info, 0, 100))


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_damaged_there_are_as_many_rows_as_the_footer_says_or_a_refusal(seed: int) -> None:
    draw = random.Random(seed)
    columns = {"s": ["a", "bc", None] * 10, "l": [["x"], None, []] * 10, "n": list(range(30)), "t": [NOON] * 30}
    body = bytearray(File(columns, row_group_size=11, compression=draw.choice(["none", "zstd", "snappy"])).body)
    for _ in range(draw.choice([1, 3, 30])):
        body[draw.randrange(len(body) - 8)] = draw.randrange(256)
    file = File(bytes(body))
    with contextlib.suppress(InputInvalid):
        wanted = min(file.tables.footer(file.info).rows, 1000)
        assert len(list(file.tables.rows(file.info, 0, wanted))) == wanted
