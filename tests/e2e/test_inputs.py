"""Inputs of every shape, each through the real handlers, state machine and workers to Parquet with the right rows.

One stack for all of them; the batches run side by side.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill import cli
from batchmill.client import StackClient
from batchmill.commands.connecting import connect
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.batch import BatchStatus
from support.deployed import Deployed, deployed, rows_jsonl

SPEC = {"endpoint": "/v1/embeddings", "input": "{{ text }}", "columns": ["id"], "custom_id": "id"}
PLAIN = {"endpoint": "/v1/embeddings", "input": "{{ text }}"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("inputs"), {"latency": {"median_ms": 1}}) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Deployed) -> StackClient:
    return connect("batchmill", stack.stack.client)


def put(stack: Deployed, key: str, body: bytes) -> str:
    stack.s3.put_object(Bucket=stack.input, Key=key, Body=body)
    return f"s3://{stack.input}/{key}"


def delimited(count: int, tag: str, mark: str) -> bytes:
    """Every third text spans two lines, in quotes."""
    lines = [f'{i}{mark}"[[{tag}-{i}]]{chr(10) if i % 3 == 0 else " "}hello"\n' for i in range(count)]
    return f"id{mark}text\n{''.join(lines)}".encode()


def zstandard(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def table(count: int, tag: str) -> bytes:
    rows = [{"id": i, "text": f"[[{tag}-{i}]] hello", "nested": {"a": [i, None]}} for i in range(count)]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=90)
    return sink.getvalue()


def checked(stack: Deployed, batch_id: str, count: int) -> list[dict[str, Any]]:
    """The rows of a batch that completed, each id once and none of them an error."""
    batch = stack.final(batch_id, 90.0)
    assert (batch.status, batch.problems) == (BatchStatus.COMPLETED, ())
    assert (batch.counts.total, batch.counts.completed) == (count, count)
    rows = stack.rows(batch_id)
    assert Counter(row["status"] for row in rows) == {"ok": count}
    assert sorted(int(row["id"]) for row in rows) == list(range(count))
    return rows


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("rows.jsonl.gz", gzip.compress(rows_jsonl(250, "gz"))),
        (
            "rows members.jsonl.gz",
            gzip.compress(rows_jsonl(250, "mm")[:5000]) + gzip.compress(rows_jsonl(250, "mm")[5000:]),
        ),
        ("rows.jsonl.bz2", bz2.compress(rows_jsonl(250, "bz"))),
        ("rows.csv.zst", zstandard(delimited(250, "zs", ","))),
        ("rows.parquet", table(250, "pq")),
        ("rows.tsv", delimited(250, "ts", "\t")),
        ("ü +%20&.csv", delimited(250, "cs", ";")),
    ],
    ids=["gzip", "members", "bzip2", "zstd-csv", "parquet", "tsv", "csv"],
)
def test_an_input_of_any_shape_ends_as_parquet_with_each_row_once(
    stack: Deployed, client: StackClient, name: str, body: bytes
) -> None:
    uri = put(stack, f"shapes/{name}", body)
    batch_id = client.submit([uri], BatchSpec.model_validate(SPEC))
    checked(stack, batch_id, 250)
    inputs = stack.manifest(batch_id)["inputs"]
    assert {item["source"] or f"s3://{item['bucket']}/{item['key']}" for item in inputs} == {uri}
    assert len(stack.parts(batch_id)) > 1


def test_text_is_a_row_a_line(stack: Deployed, client: StackClient) -> None:
    uri = put(stack, "shapes/rows.txt", b"".join(b"[[tx-%d]] hello\r\n" % i for i in range(120)))
    batch_id = client.submit([uri], BatchSpec.model_validate(PLAIN))
    batch = stack.final(batch_id, 90.0)
    assert (batch.status, batch.counts.completed) == (BatchStatus.COMPLETED, 120)
    assert sorted(row["text"] for row in stack.rows(batch_id)) == sorted(f"[[tx-{i}]] hello" for i in range(120))


def test_a_prefix_is_all_that_lies_under_it_plain_or_compressed(stack: Deployed, client: StackClient) -> None:
    lines = rows_jsonl(300, "pf").splitlines(keepends=True)
    put(stack, "folder/", b"")
    put(stack, "folder/_SUCCESS", b"")
    put(stack, "folder/a.jsonl", b"".join(lines[:100]))
    put(stack, "folder/b.jsonl.gz", gzip.compress(b"".join(lines[100:200])))
    put(stack, "folder/deep/c d.jsonl", b"".join(lines[200:]))
    put(stack, "folder2/d.jsonl", b"not of it\n")
    batch_id = client.submit([f"s3://{stack.input}/folder/"], BatchSpec.model_validate(SPEC))
    rows = checked(stack, batch_id, 300)
    ordered = [int(row["id"]) for row in sorted(rows, key=lambda row: (row["shard"], row["row"]))]
    assert ordered == list(range(300))


def test_a_manifest_is_what_it_lists(stack: Deployed, client: StackClient) -> None:
    lines = rows_jsonl(200, "mf").splitlines(keepends=True)
    uris = [
        put(stack, "listed/b.jsonl", b"".join(lines[:100])),
        put(stack, "listed/a.jsonl", b"".join(lines[100:])),
    ]
    put(stack, "listed/other.jsonl", b"not of it\n")
    listed = put(stack, "listed/manifest.json", json.dumps(uris).encode())
    batch_id = client.submit([listed], BatchSpec.model_validate({**SPEC, "manifest": True}))
    checked(stack, batch_id, 200)


def test_errors_of_a_compressed_input_name_the_lines_of_the_users_own_file(
    stack: Deployed, client: StackClient
) -> None:
    lines = rows_jsonl(400, "er").splitlines()
    lines[150], lines[399] = b"{oops", b"\xff\xfe"
    uri = put(stack, "shapes/bad.jsonl.gz", gzip.compress(b"\n".join(lines)))
    batch_id = client.submit([uri], BatchSpec.model_validate(SPEC))
    batch = stack.final(batch_id, 90.0)
    assert (batch.status, batch.counts.completed, batch.counts.failed) == (BatchStatus.COMPLETED, 398, 2)
    errors = [row["error_message"] for row in stack.rows(batch_id) if row["status"] == "error"]
    assert sorted(message.split(":")[0] for message in errors) == ["line 151", "line 400"]


@pytest.mark.parametrize(
    ("name", "body", "code", "words"),
    [
        ("cut.jsonl.gz", gzip.compress(rows_jsonl(5000, "x"))[:-20], "input_invalid", "cut off"),
        ("bomb.txt.gz", gzip.compress(b"\n" * 20_000_000, 9), "input_too_large", "1,000 times as much"),
        ("broken.parquet", table(10, "x")[:-6] + b"??PAR1", "input_invalid", "broken.parquet"),
        ("empty/", b"", "input_missing", "no object under this prefix"),
    ],
)
def test_a_hostile_input_ends_its_batch_and_is_named(
    stack: Deployed, client: StackClient, name: str, body: bytes, code: str, words: str
) -> None:
    uri = put(stack, f"hostile/{name}", body)
    batch = stack.final(client.submit([uri], BatchSpec.model_validate(PLAIN)), 90.0)
    assert batch.status is BatchStatus.FAILED
    assert [problem.code for problem in batch.problems] == [code]
    assert words in batch.problems[0].message
    assert uri in batch.problems[0].message
    assert stack.parts(batch.batch_id) == {}


def test_ids_that_occur_twice_end_a_small_batch_before_it_begins(stack: Deployed, client: StackClient) -> None:
    uri = put(stack, "shapes/twice.jsonl.gz", gzip.compress(rows_jsonl(50, "tw") + rows_jsonl(3, "again")))
    batch = stack.final(client.submit([uri], BatchSpec.model_validate(SPEC)), 90.0)
    assert (batch.status, stack.parts(batch.batch_id)) == (BatchStatus.FAILED, {})
    (problem,) = batch.problems
    assert (problem.code, problem.param) == ("duplicate_custom_id", "custom_id")
    assert f"{uri}: a custom_id stands for one row: '0' in line 1 and line 51" in problem.message


def test_a_prefix_is_checked_where_it_lies(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By boto3's own settings, as a user has them."""
    lines = rows_jsonl(100, "ck").splitlines(keepends=True)
    put(stack, "checked/a b.jsonl", b"".join(lines[:60]))
    put(stack, "checked/c.jsonl.gz", gzip.compress(b"".join([*lines[60:], lines[60]])))
    for name, value in {
        "AWS_ENDPOINT_URL": stack.stack.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    code = cli.status(
        ["check", f"s3://{stack.input}/checked/", "--prompt", "{{ text }}", "--custom-id", "id", "--json"]
    )
    said = json.loads(capsys.readouterr().out)
    assert (code, said["objects"], said["rows"], said["codes"]) == (1, 2, 101, {"duplicate_custom_id": 1})
    (only,) = said["first_problems"]
    assert (only["object"], only["line"]) == (f"s3://{stack.input}/checked/c.jsonl.gz", 41)
