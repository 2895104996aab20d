from __future__ import annotations

import io
import tracemalloc
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.adapters.parquet import ParquetTables
from batchmill.contracts.plan import PinnedObject, PlanDocument
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import InputChanged, InputInvalid
from batchmill.domain.formats import Format
from batchmill.domain.request import Row, RowError
from batchmill.domain.shard import ShardKey
from batchmill.domain.span import Span
from batchmill.ports.objects import ObjectInfo
from batchmill.steps.shard.reading import blocks, span_error, span_rows
from fakes.objects import MemoryObjects

MIB = 1024 * 1024


class Inputs:
    """Objects of one format in the store, and the plan of a batch over them."""

    def __init__(self, form: Format, *bodies: bytes, **fields: Any) -> None:
        self.objects, items = MemoryObjects(), []
        for n, body in enumerate(bodies):
            self.objects.put("input", f"in/{n}", body)
            etag = self.objects.head("input", f"in/{n}").etag
            items.append(PinnedObject(bucket="input", key=f"in/{n}", size=len(body), etag=etag))
        self.items = items
        self.document = self.plan(form, **fields)

    def plan(self, form: Format, spec: dict[str, Any] | None = None, **fields: Any) -> PlanDocument:
        told = BatchSpec.model_validate({"endpoint": "/v1/embeddings", **(spec or {})})
        whole = {
            "batch_id": "b",
            "run": 0,
            "spec": told,
            "format": form,
            "objects": self.items,
            "columns": ("a",),
            "header": ("a", "b"),
            "shards": 1,
            "rows_estimated": 1,
            "model": "",
            "fingerprint": "",
        }
        return PlanDocument.model_validate(whole | fields)

    def rows(self, start: int = 0, end: int | None = None, n: int = 0, first_line: int | None = 1) -> list[Row]:
        span = Span(n, start, self.document.objects[n].extent if end is None else end, first_line)
        return list(span_rows(self.objects, ParquetTables(self.objects), self.document, span))


def message(row: Row) -> str:
    assert row.error is not None
    return row.error.message


@pytest.mark.parametrize(
    ("form", "body", "columns"),
    [
        ("jsonl", b'{"a": 1}\n', {"a": 1}),
        ("text", b"hello\n", {"text": "hello"}),
        ("csv", b"a,b\n1,2\n", {"a": "1", "b": "2"}),
        ("tsv", b"a\tb\n1\t2\n", {"a": "1", "b": "2"}),
    ],
)
def test_each_format_has_its_reader(form: Format, body: bytes, columns: dict[str, object]) -> None:
    delimiter = "\t" if form == "tsv" else ","
    (row,) = Inputs(form, body, delimiter=delimiter).rows()
    assert row.columns == columns


def test_openai_lines_are_held_to_the_batchs_endpoint_and_model() -> None:
    line = '{"custom_id": "a", "method": "POST", "url": "%s", "body": {"model": "%s"}}\n'
    body = "".join(line % one for one in [("/v1/embeddings", "m"), ("/v1/score", "m"), ("/v1/embeddings", "n")])
    rows = Inputs("openai", body.encode(), model="m").rows()
    assert [row.error and row.error.code for row in rows] == [None, "invalid_url", "model_not_found"]


def test_a_table_is_read_by_rows_and_its_errors_name_them() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [1.0, 2.0, float("nan"), 4.0]}), sink, row_group_size=2)
    inputs = Inputs("parquet", sink.getvalue())
    inputs.document = inputs.document.model_copy(update={"objects": (inputs.items[0].model_copy(update={"rows": 4}),)})
    bad, good = inputs.rows(2)
    assert message(bad) == "row 3: a: NaN or an infinity, which JSON does not have"
    assert (good.row, good.offset, good.line, good.columns) == (1, 3, None, {"a": 4.0})


def test_an_error_names_the_file_where_there_are_several() -> None:
    inputs = Inputs("jsonl", b"{}\n", b"{}\nx\n")
    assert message(inputs.rows(n=1)[1]).startswith("line 2 of in/1: not JSON")
    assert message(inputs.rows(n=1, first_line=None)[1]).startswith("the line at byte 3 of in/1: not JSON")


def test_a_piece_of_a_compressed_file_names_that_file_and_its_line() -> None:
    inputs = Inputs("jsonl", b"{}\n", b"x\n", b"{}\n")
    first, second = (
        item.model_copy(update={"source": "s3://input/a b.jsonl.gz", "first_line": line})
        for item, line in zip(inputs.items, (1, 2), strict=False)
    )
    inputs.document = inputs.document.model_copy(update={"objects": (first, second, inputs.items[2])})
    assert message(inputs.rows(n=1, first_line=2)[0]).startswith("line 2 of a b.jsonl.gz: not JSON")
    inputs.document = inputs.document.model_copy(update={"objects": (first, second)})
    assert message(inputs.rows(n=1, first_line=2)[0]).startswith("line 2: not JSON")


def test_a_piece_that_is_not_the_first_has_no_header() -> None:
    inputs = Inputs("csv", b"a,b\n1,2\n", b"a,b\n3,4\n")
    pieces = [
        item.model_copy(update={"source": "s3://input/a.csv.gz", "first_line": line})
        for item, line in zip(inputs.items, (1, 3), strict=True)
    ]
    inputs.document = inputs.document.model_copy(update={"objects": tuple(pieces)})
    assert [row.columns["a"] for row in inputs.rows(n=0)] == ["1"]
    assert [row.columns["a"] for row in inputs.rows(n=1)] == ["a", "3"]


def test_a_file_whose_header_plan_has_not_seen_is_refused_wherever_it_is_read() -> None:
    inputs = Inputs("csv", b"a,b\n1,2\n", b"b,a\n3,4\n5,6\n")
    for start in (0, 8):
        with pytest.raises(InputInvalid, match=r"s3://input/in/1: its header is not that of the batch's other"):
            inputs.rows(start, n=1)
    assert Inputs("csv", b"a,b\n1,2\n", b"").rows(n=1) == []


def test_a_header_may_follow_blank_lines_into_a_later_span() -> None:
    inputs = Inputs("csv", b"\n\n\na,b\n1,2\n")
    assert inputs.rows(0, 2) == []
    assert [row.columns for row in inputs.rows(2)] == [{"a": "1", "b": "2"}]


def test_a_file_without_a_header_line_takes_the_names_it_was_given() -> None:
    (row,) = Inputs("csv", b"a,b\n", header_line=False).rows()
    assert row.columns == {"a": "a", "b": "b"}


def test_a_span_that_cannot_be_read_names_its_bytes_or_its_rows() -> None:
    inputs = Inputs("jsonl", b"x" * 99)
    key, error = ShardKey("b", 0, 3), RowError("input_changed", "it was overwritten")
    outcome = span_error(inputs.document, key, Span(0, 10, 99), error, 2)
    assert outcome.error_message == "bytes 10 to 99 of s3://input/in/0: it was overwritten"
    assert (outcome.custom_id, outcome.columns, outcome.attempt) == ("span-00003", {"a": None}, 2)
    table = inputs.document.model_copy(update={"objects": (inputs.items[0].model_copy(update={"rows": 50}),)})
    assert str(span_error(table, key, Span(0, 10, 20), error, 2).error_message).startswith("rows 11 to 20 of s3://")


def test_what_was_overwritten_is_never_read_as_what_it_was() -> None:
    inputs = Inputs("jsonl", b"{}\n{}\n")
    inputs.objects.put("input", "in/0", b"{}\n[]\n")
    with pytest.raises(InputChanged):
        inputs.rows()


class Endless(MemoryObjects):
    """An object of which every byte is read without being held: `{}`, one line of `size` bytes, `{}`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.info = ObjectInfo("input", "in/0", size + 6, "etag")
        self.reads = 0

    def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:
        self.reads += 1
        end = min(end, self.info.size)
        body = bytearray(b"x" * (end - start))
        for at, data in ((0, b"{}\n"), (self.info.size - 4, b"\n{}\n")):
            for n, byte in enumerate(data):
                if start <= at + n < end:
                    body[at + n - start] = byte
        return bytes(body)


@pytest.mark.parametrize("form", ["jsonl", "text", "csv"])
def test_a_line_of_100_mib_is_one_error_and_is_not_held(form: Format) -> None:
    objects = Endless(100 * MIB)
    inputs = Inputs(form, header_line=False, header=("a",))
    item = PinnedObject(bucket="input", key="in/0", size=objects.info.size, etag="etag")
    inputs.objects, inputs.document = objects, inputs.document.model_copy(update={"objects": (item,)})
    tracemalloc.start()
    try:
        rows = inputs.rows()
        assert tracemalloc.get_traced_memory()[1] < 60 * MIB
    finally:
        tracemalloc.stop()
    assert [row.error and row.error.code for row in rows] == [None, "line_too_long", None]
    assert message(rows[1]).startswith("line 2: longer than 16 MiB")
    # Cut within that line, nobody reads on to its end.
    for start, end, found in ((0, MIB, 2), (MIB, 2 * MIB, 0)):
        objects.reads = 0
        assert len(inputs.rows(start, end)) == found
        assert objects.reads < 20


def test_a_long_rest_is_read_in_ever_larger_pieces() -> None:
    objects = Endless(30 * MIB)
    sizes = [len(block) for block in blocks(objects, objects.info, 0, 10)]
    assert sizes[:4] == [10, 64 * 1024, 128 * 1024, 256 * 1024]
    assert max(sizes) == 8 * MIB
    assert sum(sizes) == objects.info.size
