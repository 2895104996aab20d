from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.adapters.parquet import ParquetTables
from batchmill.contracts.plan import PinnedObject
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import InputInvalid
from batchmill.steps.shard.sampling import SAMPLE_BYTES, Sample, sample
from fakes.objects import MemoryObjects


def sampled(key: str, body: bytes, reads: list[str] | None = None, **spec: Any) -> Sample:
    objects = MemoryObjects()
    objects.put("input", key, body)
    etag = objects.head("input", key).etag
    objects.before = lambda operation, bucket, key: (reads if reads is not None else []).append(operation)
    item = PinnedObject(bucket="input", key=key, size=len(body), etag=etag)
    told = BatchSpec.model_validate({"endpoint": "/v1/embeddings", **spec})
    return sample(objects, ParquetTables(objects), item, told)


def openai(*lines: tuple[str, Mapping[str, object]]) -> bytes:
    return b"".join(
        json.dumps({"custom_id": f"{n}", "method": "POST", "url": url, "body": body}).encode() + b"\n"
        for n, (url, body) in enumerate(lines)
    )


def table(rows: int) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": list(range(rows)), "text": ["some text"] * rows}), sink)
    return sink.getvalue()


def test_a_csv_tells_its_header_and_its_rows() -> None:
    found = sampled("a.csv", b'\xef\xbb\xbfname,text\nx,"1\n2"\ny,3\n')
    assert (found.format, found.columns, found.header) == ("csv", ("name", "text"), ("name", "text"))
    assert (found.rows, found.whole, found.delimiter) == (2, True, ",")
    assert [row.columns["name"] for row in found.first] == ["x", "y"]


def test_a_delimiter_is_looked_for_or_given() -> None:
    assert sampled("a.csv", b"a;b\n1;2\n").header == ("a", "b")
    assert sampled("a.csv", b"a;b,c\n1;2,3\n", csv={"delimiter": ";"}).header == ("a", "b,c")
    found = sampled("a.tsv", b"a,b\tc\n")
    assert (found.format, found.header, found.delimiter) == ("tsv", ("a,b", "c"), "\t")


def test_a_csv_without_a_header_has_the_names_that_were_given() -> None:
    found = sampled("a.csv", b"1;2\n3;4\n", csv={"names": ["a", "b"]})
    assert (found.header, found.rows, found.delimiter) == (("a", "b"), 2, ";")
    with pytest.raises(InputInvalid, match=r"a.csv: no record of its beginning has the 3 fields of csv.names"):
        sampled("a.csv", b"1,2\n3,4\n", csv={"names": ["a", "b", "c"]})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'a,"b\n', "line 1, the header: not CSV: a quoted field is not closed"),
        (b"\na,\xff\n1,2\n", "line 2, the header: not UTF-8"),
        (b"a,b,a\n", "line 1, the header names a column twice: a"),
        (b'"' + b"x\n" * SAMPLE_BYTES + b'"\n', "line 1, the header: not CSV"),
    ],
)
def test_a_header_that_is_none_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(InputInvalid, match=f"s3://input/a.csv: {words}"):
        sampled("a.csv", body + b"1,2\n" * SAMPLE_BYTES)


def test_a_text_has_one_column_and_a_row_for_each_line_that_is_not_blank() -> None:
    found = sampled("a.txt", b"one\n\ntwo\n")
    assert (found.format, found.columns, found.rows) == ("text", ("text",), 2)


def test_json_lines_tell_the_keys_of_their_rows_in_order() -> None:
    found = sampled("a.jsonl", b'{"b": 1}\nnonsense\n{"a": 1, "b": 2, "\\ud800": 3}\n')
    assert (found.format, found.columns, found.rows) == ("jsonl", ("b", "a"), 3)


def test_only_the_beginning_is_read_in_one_go() -> None:
    reads: list[str] = []
    found = sampled("a.jsonl", b'{"a": "text"}\n' * SAMPLE_BYTES, reads)
    assert (reads, found.whole) == (["read"], False)
    assert found.row_bytes == pytest.approx(14)


@pytest.mark.parametrize("key", ["a.jsonl", "a.csv", "a.txt"])
def test_a_row_beyond_the_sample_counts_as_the_large_one_that_it_is(key: str) -> None:
    long = b"x" * 3 * SAMPLE_BYTES
    bodies = {"a.jsonl": b'{"a": "%s"}\n', "a.csv": b'a\n"\n%s"\n', "a.txt": b"%s\n"}
    assert sampled(key, bodies[key] % long + b"{}\n").row_bytes > SAMPLE_BYTES / 2


def test_a_table_is_told_by_its_footer_alone() -> None:
    reads: list[str] = []
    found = sampled("a.parquet", table(1000), reads)
    assert (found.format, found.columns, found.rows, reads) == ("parquet", ("id", "text"), 1000, ["read"] * 2)
    assert found.footer is not None
    assert sampled("no-suffix", table(10)).rows == 10
    with pytest.raises(InputInvalid, match="does not end with PAR1"):
        sampled("a.parquet", b"PAR1 and nothing more")


def test_openai_lines_tell_their_model_and_how_much_they_ask_for() -> None:
    bodies: list[dict[str, object]] = [
        {"model": "m", "max_tokens": 10},
        {"max_completion_tokens": 30},
        {"max_tokens": 0},
    ]
    found = sampled("a.jsonl", openai(*(("/v1/embeddings", body) for body in bodies)))
    assert (found.format, found.columns, found.model, found.output_tokens) == ("openai", (), "m", 20)
    assert sampled("a.jsonl", openai(("/v1/embeddings", {}))).output_tokens is None


def test_several_models_or_endpoints_in_one_file_are_refused_and_counted() -> None:
    models = openai(*[("/v1/embeddings", {"model": f"m{n % 7}"}) for n in range(15)])
    with pytest.raises(InputInvalid) as error:
        sampled("a.jsonl", models)
    assert str(error.value) == (
        "s3://input/a.jsonl: its lines ask for 7 models (m0 in 3, m1 in 2, m2 in 2, m3 in 2, m4 in 2 and 2 more, "
        "of the first 15 lines); a batch has one: split the file"
    )
    with pytest.raises(InputInvalid, match=r"2 endpoints \(/v1/embeddings in 2, /v1/score in 1, of the first 3 lines"):
        sampled("a.jsonl", openai(("/v1/embeddings", {}), ("/v1/score", {}), ("/v1/embeddings", {})))


def test_openai_lines_for_another_endpoint_or_model_than_the_batchs_are_refused() -> None:
    with pytest.raises(InputInvalid, match="its lines ask for endpoint /v1/score, the batch for /v1/embeddings"):
        sampled("a.jsonl", openai(("/v1/score", {})))
    with pytest.raises(InputInvalid, match="its lines ask for model a, the batch for b"):
        sampled("a.jsonl", openai(("/v1/embeddings", {"model": "a"})), model="b")


def test_a_format_that_is_given_is_not_doubted() -> None:
    assert sampled("a.csv", b"a,b\n", format="text").columns == ("text",)
    assert sampled("a.bin", b"nonsense\n", format="jsonl").rows == 1
    with pytest.raises(InputInvalid, match="not JSON lines"):
        sampled("a.jsonl", b"nonsense\n")
