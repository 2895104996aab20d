"""Readers against whatever bytes there are: nothing but rows, row errors and refusals comes of them."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from batchmill.adapters.parquet import ParquetTables
from batchmill.contracts.plan import PinnedObject
from batchmill.contracts.spec import BatchSpec
from batchmill.domain import jsonl
from batchmill.domain.csvrows import DELIMITERS, Dialect, csv_rows
from batchmill.domain.errors import InputInvalid
from batchmill.domain.formats import detect
from batchmill.domain.jsonl import json_rows, openai_rows
from batchmill.domain.lines import BOM, owned_lines
from batchmill.domain.request import Row
from batchmill.domain.starts import Starts, starts
from batchmill.domain.textrows import text_rows
from batchmill.steps.shard.parsing import parsed
from batchmill.steps.shard.sampling import sample
from fakes.objects import MemoryObjects

TOKENS = [
    *[
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b'"',
        b"\\",
        b"\\u",
        b"\\ud800",
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"\x00",
        b"\xff",
    ],
    *[
        b"1",
        b"-",
        b".",
        b"e9",
        b"1e999",
        b"NaN",
        b"Infinity",
        b"null",
        b"true",
        b" ",
        b"\t",
        b";",
        BOM,
        "é\u2028".encode(),
    ],
    *[b'{"a": 1}', b'{"a": "x", "b": [1.5]}\n', b'"custom_id"', b'"method"', b'"url"', b'"body"', b"9" * 20, b"PAR1"],
    b'{"custom_id": "i", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m"}}\n',
]
BYTES = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode() + b"\n"),
)
LIMITS = st.sampled_from([5, 20, 10**6])


def every_line_is_a_row_or_blank(data: bytes, rows: list[Row], limit: int) -> None:
    at, owed = 0, []
    for line in data.split(b"\n"):
        if len(line) >= limit or line.removeprefix(BOM if at == 0 else b"").strip():
            owed.append(at)
        at += len(line) + 1
    assert [row.offset for row in rows] == owed
    assert [row.row for row in rows] == list(range(len(rows)))


@settings(max_examples=300, deadline=None)
@given(data=BYTES, limit=LIMITS)
def test_every_line_of_json_is_one_row_that_json_can_say_again_or_one_error(data: bytes, limit: int) -> None:
    rows = list(json_rows(owned_lines([data], 0, len(data), limit), 1))
    every_line_is_a_row_or_blank(data, rows, limit)
    for row in rows:
        line = data.count(b"\n", 0, row.offset) + 1
        assert row.error is None or row.error.message.startswith(f"line {line}: ")
        json.dumps(dict(row.columns), allow_nan=False)


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False).map(repr),
    st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
)


@settings(max_examples=1000, deadline=None)
@given(data=st.one_of(BYTES, st.builds(lambda number: b'{"a": [%s]}' % number.encode(), NUMBERS)))
def test_a_line_is_parsed_to_the_same_value_or_error_however_fast(data: bytes) -> None:
    for line in data.split(b"\n"):
        assert repr(parsed(line)) == repr(jsonl.parsed(line))


@settings(max_examples=300, deadline=None)
@given(data=BYTES, limit=LIMITS)
def test_every_openai_line_is_a_request_or_one_error(data: bytes, limit: int) -> None:
    rows = list(openai_rows(owned_lines([data], 0, len(data), limit), None, "/v1/embeddings", "m"))
    every_line_is_a_row_or_blank(data, rows, limit)
    assert all(row.error or (row.custom_id and isinstance(row.columns["body"], dict)) for row in rows)


@settings(max_examples=300, deadline=None)
@given(data=BYTES, limit=LIMITS)
def test_every_line_of_text_is_one_row_or_one_error(data: bytes, limit: int) -> None:
    rows = list(text_rows(owned_lines([data], 0, len(data), limit), 1))
    every_line_is_a_row_or_blank(data, rows, limit)
    for row in rows:
        assert row.error or "\n" not in str(row.columns["text"])


@settings(max_examples=500, deadline=None)
@given(data=BYTES, limit=LIMITS, delimiter=st.sampled_from(DELIMITERS), multiline=st.booleans())
def test_every_byte_of_a_csv_is_in_one_record_or_in_a_blank_line(
    data: bytes, limit: int, delimiter: str, multiline: bool
) -> None:
    lines = owned_lines([data], 0, len(data), limit)
    rows = list(csv_rows(lines, 1, ("a", "b"), Dialect(delimiter, multiline), skip_header=False, limit=limit))
    scanner = Starts(delimiter if multiline else None, limit=limit)
    begins = {at for at, _ in starts([data], range(len(data)), scanner)}
    records = [
        at
        for at, end in pairwise(sorted(begins | {len(data)}))
        if end - at > limit or data[at:end].removeprefix(BOM if at == 0 else b"").strip(b"\r\n")
    ]
    assert [row.offset for row in rows] == records
    assert all(row.error or set(row.columns) == {"a", "b"} for row in rows)


FORMATS = ["auto", "openai", "jsonl", "csv", "tsv", "text", "parquet"]
NAMES = st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.json", "a.txt", "a.parquet", "a", "a.csv.gz"])


@settings(max_examples=500, deadline=None)
@given(data=BYTES, name=NAMES, form=st.sampled_from(FORMATS), named=st.booleans())
def test_whatever_an_input_begins_with_it_is_told_or_refused_by_name(
    data: bytes, name: str, form: str, named: bool
) -> None:
    objects = MemoryObjects()
    objects.put("input", name, data)
    item = PinnedObject(bucket="input", key=name, size=len(data), etag=objects.head("input", name).etag)
    options = {"names": ["x", "y"]} if named else {}
    spec = BatchSpec.model_validate({"endpoint": "/v1/embeddings", "format": form, "csv": options})
    try:
        found = sample(objects, ParquetTables(objects), item, spec)
        assert 0 <= found.rows <= len(data)
        assert found.row_bytes >= 1
    except InputInvalid as refusal:
        told = str(refusal)
        assert told.startswith("s3://input/a")
        assert len(told) < 1000
    with suppress(InputInvalid):
        assert detect(name, data).compression in ("none", "gzip", "bzip2", "zstd")
