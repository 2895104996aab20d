"""`check` over files, and over an S3 in memory."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill import cli
from batchmill.commands import check as command
from batchmill.commands import checking
from batchmill.domain.pieces import PieceSizes
from fakes.objects import MemoryObjects

ROWS = [{"id": f"r{i}", "text": f"hello {i}"} for i in range(30)]
PROMPT = ("--prompt", "{{ text }}", "--custom-id", "id")


def lines(rows: list[Any]) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def checked(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    code = cli.status(["check", *map(str, arguments), "--json", "--quiet"])
    said = capsys.readouterr()
    assert said.out, said.err
    return code, json.loads(said.out)


BAD: list[Any] = [*ROWS]
BAD[3], BAD[7], BAD[29] = b"{oops", {"id": "r7"}, {"id": "r2", "text": "again"}
PLACES = [(4, "invalid_json_line"), (8, "render_failed"), (30, "duplicate_custom_id")]


def test_an_input_without_a_fault_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines(ROWS))
    code, said = checked(capsys, path, *PROMPT, "--params", "max_tokens=7", "--shard-rows", "10")
    assert code == 0
    assert (said["ok"], said["rows"], said["problems"], said["first_problems"]) == (True, 30, 0, [])
    assert (said["format"], said["compression"], said["objects"]) == ("jsonl", ["none"], 1)
    assert (said["output_tokens"], said["bytes"]) == (210, path.stat().st_size)
    assert said["shards"] in (3, 4)
    assert 0 < said["prompt_tokens"] < 30 * 50


@pytest.mark.parametrize(
    ("name", "pack"), [("a.jsonl", bytes), ("a b.jsonl.gz", gzip.compress), ("a.jsonl.bz2", bz2.compress)]
)
@pytest.mark.parametrize("limit", [PieceSizes().limit, 200])
def test_each_problem_is_named_by_its_line_compressed_or_not(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    pack: Any,
    limit: int,
) -> None:
    monkeypatch.setattr(checking, "PIECE", PieceSizes(limit, min(100, limit), 10))
    path = tmp_path / name
    path.write_bytes(pack(lines(BAD)))
    code, said = checked(capsys, path, *PROMPT)
    assert (code, said["rows"], said["problems"]) == (1, 30, 3)
    assert [(one["line"], one["code"]) for one in said["first_problems"]] == PLACES
    assert {one["object"] for one in said["first_problems"]} == {str(path)}
    assert said["first_problems"][2]["message"].startswith("custom_id 'r2' is that of line 3 too")
    assert said["codes"] == {code: 1 for _, code in PLACES}


def test_an_id_may_not_come_again_in_another_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(lines(ROWS))
    code, said = checked(capsys, tmp_path, *PROMPT, "--problems", "1")
    assert (code, said["rows"], said["codes"]) == (1, 60, {"duplicate_custom_id": 30})
    (only,) = said["first_problems"]
    assert (only["object"], only["line"]) == (str(tmp_path / "b.jsonl"), 1)
    assert f"line 1 of {tmp_path / 'a.jsonl'}" in only["message"]


def test_records_of_several_lines_in_a_compressed_csv_keep_their_header_and_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "PIECE", PieceSizes(120, 60, 10))
    text = "id,text\n" + "".join(f'{i},"a\nb{i}"\n' for i in range(40)) + "40,x,y\n"
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    code, said = checked(capsys, path, *PROMPT)
    assert (code, said["rows"], said["format"], said["compression"]) == (1, 41, "csv", ["gzip"])
    assert [one["line"] for one in said["first_problems"]] == [82]


def test_a_table_is_read_by_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": ["a", "b", "a"], "text": ["x", "y", "z"]}), path)
    code, said = checked(capsys, path, *PROMPT)
    assert (code, said["rows"], said["format"]) == (1, 3, "parquet")
    assert [(one["line"], one["code"]) for one in said["first_problems"]] == [(3, "duplicate_custom_id")]


def test_openai_lines_of_a_model_of_their_own_or_a_stream_are_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}
    rows = [
        {"custom_id": str(i), "method": "POST", "url": "/v1/chat/completions", "body": {**body, **extra}}
        for i, extra in enumerate([{}, {"stream": True}, {}])
    ]
    path = tmp_path / "o.jsonl"
    path.write_bytes(lines([*rows, {**rows[0], "method": "GET"}]))
    code, said = checked(capsys, path)
    assert (code, said["output_tokens"], said["rows"]) == (1, 10, 4)
    assert said["codes"] == {"streaming_unsupported": 1, "invalid_method": 1, "duplicate_custom_id": 1}


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (gzip.compress(lines(ROWS * 400))[:-20], "input_invalid", "cut off"),
        (gzip.compress(b"{}\n" + b"\n" * 20_000_000, 9), "input_too_large", "1,000 times as much"),
        (b"", "empty_file", "empty"),
        (gzip.compress(b"\n\n"), "input_invalid", "not JSON lines"),
    ],
    ids=["damaged", "bomb", "empty", "blank"],
)
def test_an_input_that_cannot_be_read_is_a_problem_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: bytes, code: str, words: str
) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(body)
    status, said = checked(capsys, path, "--prompt", "hello")
    assert (status, said["problems"], said["first_problems"][0]["code"]) == (1, 1, code)
    assert words in said["first_problems"][0]["message"]
    assert "s3://" not in said["first_problems"][0]["message"]


def test_a_header_without_rows_is_an_empty_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n")
    code, said = checked(capsys, path, *PROMPT)
    assert (code, said["rows"], said["codes"]) == (1, 0, {"empty_file": 1})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.jsonl", "--prompt", "x"], "nowhere.jsonl"),
        (["a.jsonl"], "needs --prompt"),
        (["a.jsonl", "--prompt", "{{ text"], "template"),
        (["s3://bucket"], "not an s3://bucket/key"),
    ],
)
def test_a_mistake_in_what_was_asked_is_told_apart(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS))
    assert cli.status(["check", *arguments]) == 2
    said = capsys.readouterr()
    assert (said.out, words in said.err) == ("", True)


def test_a_person_is_told_in_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "ROWS_BETWEEN", 10)
    monkeypatch.setattr(command, "TOLD_SECONDS", 0.0)
    (tmp_path / "a.jsonl").write_bytes(lines(BAD))
    assert cli.status(["check", "a.jsonl", *PROMPT, "--problems", "2"]) == 1
    said = capsys.readouterr()
    assert "30 rows read, 3 problems" in said.err
    assert said.out.splitlines()[0] == "problems: 30 rows"
    assert "            a.jsonl, line 8: messages[0].content: the row lacks 'text' [render_failed]" in said.out
    assert said.out.splitlines()[-1].strip() == "and 1 more"


def test_prefixes_and_lists_in_s3_are_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = MemoryObjects()
    monkeypatch.setattr(command, "_s3", lambda: objects)
    objects.put("b", "in/", b"")
    objects.put("b", "in/a b.jsonl", lines(ROWS))
    objects.put("b", "in/c.jsonl.gz", gzip.compress(lines(BAD)))
    code, said = checked(capsys, "s3://b/in/", "--prompt", "{{ text }}")
    assert (code, said["objects"], said["rows"], said["problems"]) == (1, 2, 60, 2)
    assert {one["object"] for one in said["first_problems"]} == {"s3://b/in/c.jsonl.gz"}
    listed = tmp_path / "list.txt"
    listed.write_text("s3://b/in/a b.jsonl\n")
    assert checked(capsys, listed, "--manifest", *PROMPT)[1]["rows"] == 30
