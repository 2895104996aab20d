import json
from pathlib import Path
from typing import Any

import pytest

from batchmill.commands.preflight import check, peek
from batchmill.contracts.spec import parse_spec
from batchmill.domain.errors import EmptyInput, InputInvalid, InputMissing, SpecInvalid

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


def test_an_unknown_placeholder_is_a_warning_with_what_is_near(table: Path) -> None:
    (said,) = warnings(table, prompt="{{ boddy }}")
    assert "'boddy'" in said
    assert "did you mean body?" in said


def test_an_unknown_placeholder_with_nothing_near_lists_the_columns(table: Path) -> None:
    (said,) = warnings(table, prompt="{{ zzzzzz }}")
    assert "it has id, subject, body" in said


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
    prose = tmp_path / "prose.txt"
    prose.write_text("no rows\nat all\n")
    with pytest.raises(InputInvalid) as refused:
        peek([str(prose)], spec)
    assert str(refused.value).startswith(str(prose))
