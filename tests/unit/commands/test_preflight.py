import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.commands.preflight import check, peek
from batchmill.contracts.spec import parse_spec
from batchmill.domain.errors import EmptyInput, FirstRowsFailed, InputInvalid, InputMissing, SpecInvalid

HEADER = "id,subject,body\n"


def warnings(path: Path, **spec: Any) -> list[str]:
    wanted = parse_spec(spec, "test")
    return check(wanted, peek([str(path)], wanted))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + "1,a,b\n")
    return path


def test_nothing_is_said_of_a_template_that_fits(table: Path) -> None:
    assert warnings(table, prompt="{{ subject }} {{ row['body'] }}", custom_id="id") == []


def test_a_placeholder_that_every_row_lacks_ends_it_with_what_is_near(table: Path) -> None:
    with pytest.raises(FirstRowsFailed) as failed:
        warnings(table, prompt="{{ boddy }}")
    said = str(failed.value).splitlines()
    assert said[0] == f"{table}: all of the first 1 rows fail: line 2: messages[0].content: the row lacks 'boddy'"
    assert "did you mean body?" in said[1]
    assert failed.value.code == "render_failed"


def test_an_unknown_placeholder_that_no_row_needs_is_a_warning_with_the_columns_there_are(table: Path) -> None:
    (said,) = warnings(table, prompt="{{ zzzzzz | default('') }}{{ body }}")
    assert "it has id, subject, body" in said


def test_a_template_without_end_is_told_before_anything_starts(table: Path) -> None:
    loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(FirstRowsFailed, match="takes too long"):
        warnings(table, prompt=loops)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"params": {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "x"}}}}},
            r"\$\.type",
        ),
        ({"params": {"structured_outputs": {"json": {"$ref": "http://127.0.0.1/x"}}}}, "does not hold"),
        ({"repair": 1}, "needs a schema"),
    ],
)
def test_a_schema_that_cannot_be_is_refused(table: Path, spec: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecInvalid, match=words):
        warnings(table, prompt="{{ body }}", **spec)


def test_a_table_is_told_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), path)
    assert warnings(path, prompt="{{ text }} {{ n }}") == []
    with pytest.raises(FirstRowsFailed, match=r"lacks 'txt'; the table has text, n\n.*did you mean text"):
        warnings(path, prompt="{{ txt }}")


def test_a_compressed_file_is_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "x"}\n'))
    assert warnings(path, prompt="{{ text }}") == []
    with pytest.raises(FirstRowsFailed, match=r"t\.jsonl\.gz: all of the first 1 rows fail"):
        warnings(path, prompt="{{ other }}")


def test_a_list_of_inputs_is_not_taken_for_an_input(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("s3://bucket/key\n")
    assert warnings(path, prompt="{{ text }}", manifest=True) == []


def test_unknown_custom_id_and_jsonl_columns_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"text": "x"}) + "\n" + json.dumps({"other": "y"}) + "\n")
    said = warnings(path, prompt="{{ other }}", custom_id="identity", columns=["nowhere"])
    assert ["--columns" in said[0], "--custom-id" in said[1], len(said)] == [True, True, 2]


def test_a_column_that_the_header_lacks_is_refused(table: Path) -> None:
    with pytest.raises(SpecInvalid, match="--columns: 'nowhere'"):
        warnings(table, prompt="{{ body }}", columns=["nowhere"])


def test_a_syntax_error_of_the_template_is_refused(table: Path) -> None:
    with pytest.raises(SpecInvalid, match="template"):
        warnings(table, prompt="{{ body ")


def test_embeddings_without_an_input_name_the_columns_there_are(table: Path) -> None:
    with pytest.raises(SpecInvalid, match=r"needs --input.*columns id, subject, body"):
        warnings(table, endpoint="/v1/embeddings")


def test_chat_without_a_prompt_asks_for_one(table: Path) -> None:
    with pytest.raises(SpecInvalid, match="needs --prompt"):
        warnings(table)


def test_openai_lines_take_no_template(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}
    path.write_text(json.dumps(line) + "\n")
    assert warnings(path) == []
    path.write_text(json.dumps({**line, "body": {"stream": True}}) + "\n")
    with pytest.raises(FirstRowsFailed, match="line 1: stream must not be set"):
        warnings(path)
    with pytest.raises(SpecInvalid, match="carry their own bodies"):
        warnings(path, prompt="{{ x }}")


def test_inputs_that_differ_in_header_are_refused(table: Path, tmp_path: Path) -> None:
    other = tmp_path / "u.csv"
    other.write_text("a,b\n1,2\n")
    spec = parse_spec({"prompt": "{{ body }}"}, "test")
    with pytest.raises(InputInvalid, match="header differs"):
        check(spec, peek([str(table), str(other)], spec))


def test_empty_missing_and_unreadable_files_are_told_by_their_own_path(tmp_path: Path) -> None:
    spec = parse_spec({"prompt": "{{ body }}"}, "test")
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(EmptyInput, match="empty"):
        peek([str(empty)], spec)
    with pytest.raises(InputMissing, match=r"gone\.csv"):
        peek([str(tmp_path / "gone.csv")], spec)
    prose = tmp_path / "prose.jsonl"
    prose.write_text("no rows\nat all\n")
    with pytest.raises(InputInvalid) as refused:
        peek([str(prose)], spec)
    assert str(refused.value).startswith(str(prose))
