from __future__ import annotations

from typing import Any, Literal

import pytest

from batchmill.adapters.jinja import JinjaTemplates
from batchmill.contracts.plan import PinnedObject, PlanDocument
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import SpecInvalid
from batchmill.domain.request import Request, Row, RowError
from batchmill.steps.shard.rendering import Renderer, body_source

CHAT = "/v1/chat/completions"


def document(form: Literal["openai", "jsonl", "csv"] = "jsonl", **spec: Any) -> PlanDocument:
    return PlanDocument(
        batch_id="batch_1",
        run=0,
        spec=BatchSpec(**spec),
        format=form,
        objects=(PinnedObject(bucket="b", key="k", size=1, etag="e"),),
        columns=("a",),
        header=None,
        shards=1,
        rows_estimated=1,
        model="m",
        fingerprint="f",
    )


def rendered(row: Row, **spec: Any) -> Request | RowError:
    return Renderer(document(**spec), JinjaTemplates()).request(2, row)


def body(columns: dict[str, object], **spec: Any) -> object:
    made = rendered(Row(0, 0, 1, columns=columns), **spec)
    assert isinstance(made, Request), made
    return made.body


def test_a_prompt_and_a_system_become_messages() -> None:
    assert body({"q": "why"}, prompt="{{ q }}?", system="be short", params={"max_tokens": 3}) == {
        "model": "m",
        "messages": [{"role": "system", "content": "be short"}, {"role": "user", "content": "why?"}],
        "max_tokens": 3,
    }


def test_each_endpoint_takes_its_own_field() -> None:
    assert body({"q": "x"}, endpoint="/v1/completions", prompt="{{ q }}") == {"model": "m", "prompt": "x"}
    assert body({"q": "x"}, endpoint="/v1/embeddings", input="{{ q }}") == {"model": "m", "input": "x"}
    pair = {"text_1": "{{ q }}", "text_2": "{{ d }}"}
    assert body({"q": "x", "d": "y"}, endpoint="/v1/score", body=pair) == {"model": "m", "text_1": "x", "text_2": "y"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"endpoint": "/v1/embeddings", "prompt": "x"}, "takes no prompt"),
        ({"endpoint": CHAT, "input": "x"}, "takes a prompt"),
        ({"endpoint": "/v1/completions", "prompt": "x", "system": "y"}, "takes a prompt alone"),
        ({"endpoint": CHAT}, "rows need a template"),
    ],
)
def test_a_field_that_the_endpoint_does_not_take_is_refused(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecInvalid, match=words):
        body_source(BatchSpec(**spec))


def test_an_openai_lines_own_body_goes_through_with_the_model_where_it_names_none() -> None:
    row = Row(0, 0, 1, "c", {"body": {"messages": [], "temperature": 0}})
    made = rendered(row, form="openai")
    assert isinstance(made, Request)
    assert made.body == {"model": "m", "messages": [], "temperature": 0}
    named = rendered(Row(0, 0, 1, "c", {"body": {"model": "other"}}), form="openai")
    assert isinstance(named, Request)
    assert named.body == {"model": "other"}


def test_a_column_that_is_missing_is_the_rows_error_at_its_line() -> None:
    made = rendered(Row(4, 99, 5, columns={"a": "secret text"}), prompt="{{ b }}")
    assert isinstance(made, RowError)
    assert made.code == "template_error"
    assert made.message.startswith("line 5: ")
    assert "b" in made.message
    assert "secret" not in made.message


def test_columns_are_carried_as_text() -> None:
    made = rendered(Row(0, 0, 1, columns={"a": {"x": [1, None]}}), prompt="x")
    assert isinstance(made, Request)
    assert made.columns == {"a": '{"x":[1,null]}'}
    missing = rendered(Row(0, 0, 1, columns={"b": "x"}), prompt="x")
    assert isinstance(missing, Request)
    assert missing.columns == {"a": None}


@pytest.mark.parametrize(
    ("row", "spec", "name"),
    [
        (Row(3, 0, 1, "own"), {}, "own"),
        (Row(3, 0, 1, columns={"ref": 17}), {"custom_id": "ref"}, "17"),
        (Row(3, 0, 1, columns={"ref": None}), {"custom_id": "ref"}, "row-00002-000003"),
        (Row(3, 0, 1), {}, "row-00002-000003"),
    ],
)
def test_a_custom_id_is_the_users_or_made_of_the_rows_place(row: Row, spec: dict[str, Any], name: str) -> None:
    assert Renderer(document(prompt="x", **spec), JinjaTemplates()).custom_id(2, row) == name


def test_the_hash_of_a_request_does_not_depend_on_the_order_of_its_keys() -> None:
    def hashed(body: dict[str, object]) -> str:
        made = rendered(Row(0, 0, 1, "c", {"body": body}), form="openai")
        assert isinstance(made, Request)
        return made.sha256

    assert hashed({"x": 1, "y": 2}) == hashed({"y": 2, "x": 1})
    assert hashed({"x": 1, "y": 2}) != hashed({"x": 1, "y": 3})


def test_a_body_that_asks_for_a_stream_or_cannot_be_written_is_the_rows_error() -> None:
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    for body in ({"stream": True}, {"input": deep}):
        made = rendered(Row(0, 0, 1, "c", {"body": body}), form="openai")
        assert isinstance(made, RowError)
        assert made.code == "invalid_request"
        assert made.message.startswith("line 1: ")
