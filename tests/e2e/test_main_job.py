"""A file goes in, Parquet comes out, through the real handlers, state machine and workers."""

from __future__ import annotations

import json
from collections import Counter

import duckdb
import pytest

from batchmill.domain.batch import BatchStatus
from batchmill.local.engines.scripted_text import expected_text
from support.deployed import Deployed, rows_jsonl


def test_a_dropped_file_ends_as_parquet_with_each_row_once(stack: Deployed) -> None:
    batch_id = stack.drop("embed/a.jsonl", rows_jsonl(250, "a"))
    batch = stack.final(batch_id)
    assert batch.status is BatchStatus.COMPLETED
    rows = stack.rows(batch_id)
    assert Counter(row["status"] for row in rows) == {"ok": 250}
    assert sorted(int(row["id"]) for row in rows) == list(range(250))
    assert len(stack.parts(batch_id)) == batch.shards > 1
    manifest = stack.manifest(batch_id)
    assert (manifest["rows"], manifest["ok"], len(manifest["files"])) == (250, 250, batch.shards)
    assert all(count == 1 for name, count in stack.received().items() if name.startswith("a-"))


def test_duckdb_reads_a_glob_of_the_results(stack: Deployed) -> None:
    batch_id = stack.drop("chat/b.jsonl", rows_jsonl(120, "b"))
    stack.final(batch_id)
    stack.rows(batch_id)
    files = str(stack.folder / f"batches_{batch_id}_results_*.parquet")
    query = f"select text, output_text from read_parquet('{files}') order by shard, row"
    found = duckdb.execute(query).fetchall()
    assert len(found) == 120
    assert all(output == expected_text(text) for text, output in found)


def test_the_same_object_event_a_hundred_times_is_one_batch(stack: Deployed) -> None:
    batch_id = stack.drop("embed/c.jsonl", rows_jsonl(5, "c"))
    version = stack.batch(stack.final(batch_id).batch_id).inputs[0].version_id
    event = {
        "version": "0",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {
            "bucket": {"name": stack.input},
            "object": {"key": "embed/c.jsonl", "size": 1, "etag": "e", "version-id": version, "sequencer": "1"},
        },
    }
    before = len(stack.batches.recent(1000))
    sqs = stack.stack.client("sqs")
    for _ in range(10):
        entries = [{"Id": str(i), "MessageBody": json.dumps(event)} for i in range(10)]
        sqs.send_message_batch(QueueUrl=stack.outputs["IntakeQueueUrl"], Entries=entries)
    last = stack.drop("embed/after.jsonl", rows_jsonl(1, "after"))
    stack.final(last)
    assert len(stack.batches.recent(1000)) == before + 1
    assert len(stack.machine_executions(batch_id)) == 1
    assert all(count == 1 for name, count in stack.received().items() if name.startswith("c-"))


def test_ten_malformed_rows_of_a_thousand_are_ten_typed_errors_that_name_their_lines(stack: Deployed) -> None:
    lines = rows_jsonl(1000, "d").splitlines()
    bad = {50: b"{oops", 149: b"[1]", 250: b'"x"', 333: b'{"id": 1}', 400: b"\xff", 401: b"nope", 555: b"7"}
    bad |= {777: b'{"text": NaN}', 900: b"{}", 999: b'{"id": 999, "text": '}
    for index, line in bad.items():
        lines[index] = line
    batch_id = stack.drop("embed/d.jsonl", b"\n".join(lines) + b"\n")
    batch = stack.final(batch_id)
    assert (batch.status, batch.counts.completed, batch.counts.failed) == (BatchStatus.COMPLETED, 990, 10)
    errors = [row for row in stack.rows(batch_id) if row["status"] == "error"]
    named = {int(row["error_message"].split(":")[0].removeprefix("line ")) for row in errors}
    assert named == {index + 1 for index in bad}
    codes = {"invalid_json_line", "invalid_row", "invalid_utf8", "render_failed"}
    assert {row["error_code"] for row in errors} == codes


def test_openai_batch_lines_run_as_they_are(stack: Deployed) -> None:
    lines = [
        {"custom_id": f"q{i}", "method": "POST", "url": "/v1/chat/completions", "body": _chat(f"[[e-{i}]]")}
        for i in range(20)
    ]
    batch_id = stack.drop("openai/e.jsonl", b"")
    stack.profile("lines", "endpoint: /v1/chat/completions\n")
    batch_id = stack.drop("lines/e.jsonl", "\n".join(json.dumps(line) for line in lines).encode())
    assert stack.final(batch_id).status is BatchStatus.COMPLETED
    rows = {row["custom_id"]: row for row in stack.rows(batch_id)}
    assert set(rows) == {f"q{i}" for i in range(20)}
    assert rows["q7"]["output_text"] == expected_text("[[e-7]]")
    assert rows["q7"]["prompt_tokens"] > 0


def _chat(text: str) -> dict[str, object]:
    return {"model": "scripted", "messages": [{"role": "user", "content": text}]}


def test_a_csv_with_quoted_newlines_carries_its_columns(stack: Deployed) -> None:
    text = "ref,text\n" + "".join(f'r{i},"[[f-{i}]] one,\ntwo ""{i}"""\n' for i in range(150))
    stack.profile("csv", "endpoint: /v1/embeddings\ninput: '{{ text }}'\ncustom_id: ref\n")
    batch_id = stack.drop("csv/f.csv", text.encode())
    assert stack.final(batch_id).status is BatchStatus.COMPLETED
    rows = stack.rows(batch_id)
    assert {row["custom_id"] for row in rows} == {f"r{i}" for i in range(150)}
    assert all(row["text"].endswith(f'two "{row["ref"][1:]}"') for row in rows)


@pytest.mark.parametrize(
    ("key", "body", "profile", "code"),
    [
        ("embed/empty.jsonl", b"", None, "empty_file"),
        ("wrong/x.jsonl", b'{"text": "x"}\n', "endpoint: 5\n", "invalid_spec"),
        ("broken/x.jsonl", b'{"text": "x"}\n', "endpoint: [\n", "invalid_spec"),
        (
            "jobs/x.batch.yaml",
            b"inputs: [no.jsonl]\nspec: {endpoint: /v1/embeddings, input: x}\n",
            None,
            "input_missing",
        ),
        ("embed/x.bin", b"\x00\x01", None, "input_invalid"),
    ],
)
def test_what_cannot_be_run_ends_failed_and_says_why(
    stack: Deployed, key: str, body: bytes, profile: str | None, code: str
) -> None:
    if profile:
        stack.profile(key.split("/")[0], profile)
    batch = stack.final(stack.drop(key, body))
    assert batch.status is BatchStatus.FAILED
    assert [problem.code for problem in batch.problems] == [code]
    assert stack.parts(batch.batch_id) == {}


def test_a_batch_file_names_its_inputs_and_is_the_trigger(stack: Deployed) -> None:
    stack.drop("jobs/one.jsonl", rows_jsonl(3, "g"))
    stack.drop("jobs/two.jsonl", rows_jsonl(4, "h"))
    text = b"profile: embed\ninputs: [one.jsonl, two.jsonl]\nspec: {name: mine}\n"
    batch = stack.final(stack.drop("jobs/mine.batch.yaml", text))
    assert (batch.status, batch.counts.completed, batch.name) == (BatchStatus.COMPLETED, 7, "mine")
    assert [item["key"] for item in stack.manifest(batch.batch_id)["inputs"]] == ["jobs/one.jsonl", "jobs/two.jsonl"]
