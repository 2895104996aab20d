from __future__ import annotations

import json
from typing import Any

import pytest

from batchmill.adapters.jinja import JinjaTemplates
from batchmill.adapters.json_schema import JsonSchemas
from batchmill.contracts.plan import PinnedObject, PlanDocument
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import SpecInvalid
from batchmill.domain.formats import Format
from batchmill.domain.request import Request, Row, RowError
from batchmill.steps.shard.bodies import template_sha256
from batchmill.steps.shard.rendering import Renderer, custom_id, unasked

CHAT = "/v1/chat/completions"
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "label", "schema": SCHEMA}}


def document(form: Format = "jsonl", model: str = "m", **spec: Any) -> PlanDocument:
    wanted = BatchSpec(**spec)
    return PlanDocument(
        batch_id="batch_1",
        run=0,
        spec=wanted,
        format=form,
        objects=(PinnedObject(bucket="b", key="k", size=1, etag="e"),),
        columns=("a",),
        header=None,
        shards=1,
        rows_estimated=1,
        model=model,
        fingerprint="f",
        template_sha256=template_sha256(wanted),
    )


def rendered(row: Row, **spec: Any) -> Request | RowError:
    return Renderer(document(**spec), JinjaTemplates(), JsonSchemas()).request(2, row)


def request(columns: dict[str, object], **spec: Any) -> Request:
    made = rendered(Row(0, 0, 1, columns=columns), **spec)
    assert isinstance(made, Request), made
    return made


def body(columns: dict[str, object], **spec: Any) -> Any:
    return json.loads(request(columns, **spec).payload)


def refused(columns: dict[str, object], **spec: Any) -> RowError:
    made = rendered(Row(0, 0, 1, columns=columns), **spec)
    assert isinstance(made, RowError), made
    return made


def line(**body: object) -> dict[str, object]:
    return {"body": body}


def test_a_prompt_and_a_system_become_messages() -> None:
    assert body({"q": "why"}, prompt="{{ q }}?", system="be short", params={"max_tokens": 3}) == {
        "model": "m",
        "messages": [{"role": "system", "content": "be short"}, {"role": "user", "content": "why?"}],
        "max_tokens": 3,
    }


def test_examples_stand_between_the_system_message_and_the_prompt() -> None:
    examples = [{"role": "user", "content": "2+2"}, {"role": "assistant", "content": "4"}]
    made = body({"q": "3+3"}, prompt="{{ q }}", system="sum", messages=examples)
    assert [(one["role"], one["content"]) for one in made["messages"]] == [
        ("system", "sum"),
        ("user", "2+2"),
        ("assistant", "4"),
        ("user", "3+3"),
    ]


def test_messages_may_stand_alone_with_parts_and_fields_of_their_own() -> None:
    parts = [{"type": "text", "text": "{{ q }}"}]
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    messages = [{"role": "assistant", "tool_calls": calls}, {"role": "user", "content": parts}]
    assert body({"q": "hi"}, messages=messages)["messages"] == [
        {"role": "assistant", "tool_calls": calls},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    ]


@pytest.mark.parametrize("url", ["https://x/cat.png", "s3://input/cat.png", "data:image/png;base64,AAAA"])
def test_an_image_is_shown_with_the_last_message_of_the_users(url: str) -> None:
    made = body({"q": "what?", "url": url}, prompt="{{ q }}", image="{{ url }}")
    assert made["messages"] == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": url}}],
        }
    ]


@pytest.mark.parametrize("url", ["", "cat.png", "null", "file:///etc/passwd"])
def test_an_image_that_is_no_url_is_the_rows_error(url: str) -> None:
    made = refused({"url": url}, prompt="what?", image="{{ url }}")
    assert (made.code, made.message.startswith("line 1: image: ")) == ("invalid_image_url", True)


def test_params_may_be_the_rows_own_as_text_or_as_they_are() -> None:
    params = {"max_tokens": "{{ n | native }}", "user": "{{ n }}", "stop": "{{ stops | native }}", "seed": 7}
    made = body({"n": 5, "stops": ["a"]}, prompt="x", params=params)
    assert (made["max_tokens"], made["user"], made["stop"], made["seed"]) == (5, "5", ["a"], 7)
    assert request({"n": 5, "stops": []}, prompt="x", params=params).max_tokens == 5


def test_each_endpoint_takes_its_own_field() -> None:
    assert body({"q": "x"}, endpoint="/v1/completions", prompt="{{ q }}") == {"model": "m", "prompt": "x"}
    assert body({"q": "x"}, endpoint="/v1/embeddings", input="{{ q }}") == {"model": "m", "input": "x"}
    pair = {"text_1": "{{ q }}", "text_2": "{{ d }}"}
    assert body({"q": "x", "d": "y"}, endpoint="/v1/score", body=pair) == {"model": "m", "text_1": "x", "text_2": "y"}
    ranked = {"query": "{{ q }}", "documents": "{{ docs | native }}"}
    made = body({"q": "x", "docs": ["y", "z"]}, endpoint="/v1/rerank", body=ranked)
    assert made == {"model": "m", "query": "x", "documents": ["y", "z"]}


def test_an_openai_lines_own_body_goes_through_with_the_model_where_it_names_none() -> None:
    assert body(line(messages=[], temperature=0), form="openai") == {"messages": [], "temperature": 0, "model": "m"}
    assert body(line(model=None), form="openai") == {"model": "m"}
    assert body(line(model="m"), form="openai") == {"model": "m"}


def test_a_model_that_the_pool_does_not_serve_is_the_rows_error() -> None:
    made = refused(line(model="other"), form="openai")
    assert made.code == "model_not_found"
    assert made.message == "line 1: model: the pool serves m, not 'other'"
    assert refused({"m": "x"}, body={"model": "{{ m }}"}).code == "model_not_found"
    # An engine that does not say what it serves is left to judge.
    assert body(line(model="other"), form="openai", model="default") == {"model": "other"}


def test_what_openai_lines_would_not_heed_is_refused() -> None:
    with pytest.raises(SpecInvalid, match="remove params"):
        rendered(Row(0, 0), form="openai", params={"max_tokens": 1})
    with pytest.raises(SpecInvalid, match="remove prompt, params"):
        rendered(Row(0, 0), form="openai", prompt="x", params={"max_tokens": 1})


def test_a_column_that_is_missing_is_the_rows_error_at_its_line() -> None:
    made = rendered(Row(4, 99, 5, columns={"a": "secret text"}), prompt="{{ b }}")
    assert isinstance(made, RowError)
    assert made.code == "render_failed"
    assert made.message.startswith("line 5: ")
    assert "'b'" in made.message
    assert "secret" not in made.message


def test_columns_are_carried_as_text() -> None:
    assert request({"a": {"x": [1, None]}}, prompt="x").columns == {"a": '{"x":[1,null]}'}
    assert request({"b": "x"}, prompt="x").columns == {"a": None}


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
    assert custom_id(document(prompt="x", **spec), 2, row) == name


def test_the_hash_of_a_request_is_of_what_is_sent() -> None:
    one, two, other = (request({"q": q}, prompt="{{ q }}").sha256 for q in ("x", "x", "y"))
    assert one == two != other


def test_the_keys_of_a_body_keep_their_order_since_an_answer_follows_its_schemas() -> None:
    schema = {"type": "object", "properties": {"why": {"type": "string"}, "answer": {"type": "string"}}}
    params = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}
    payload = request({}, prompt="x", params=params).payload
    assert payload.index(b'"why"') < payload.index(b'"answer"')


def test_numbers_and_texts_reach_the_engine_as_they_were() -> None:
    odd = {"big": 2**70, "half": "\ud800", "small": 1e-300, "text": "é\u2028"}
    assert body(line(**odd), form="openai") == {**odd, "model": "m"}


def test_a_body_that_asks_for_a_stream_or_cannot_be_written_is_the_rows_error() -> None:
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    for given, code in (({"stream": True}, "streaming_unsupported"), ({"input": deep}, "invalid_request")):
        made = refused(line(**given), form="openai")
        assert (made.code, made.message.startswith("line 1: ")) == (code, True)


def test_a_schema_that_is_none_is_the_rows_error() -> None:
    wrong = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "nonsense"}}}
    made = refused(line(response_format=wrong), form="openai")
    assert (made.code, "$.type" in made.message) == ("invalid_json_schema", True)
    assert refused(line(response_format={"type": "json_schema"}), form="openai").code == "invalid_json_schema"


@pytest.mark.parametrize(
    "params",
    [
        {"response_format": FORMAT},
        {"structured_outputs": {"json": SCHEMA}},
        {"structured_outputs": {"json": json.dumps(SCHEMA)}},
    ],
)
def test_a_request_brings_what_its_answer_must_fit(params: dict[str, Any]) -> None:
    misfit = request({}, prompt="x", params=params).misfit
    assert misfit is not None
    assert misfit({"label": "a"}) is None
    assert misfit({}) == "$: lacks 'label'"


def test_a_json_object_of_any_form_is_a_schema_too_and_no_wish_is_none() -> None:
    misfit = request({}, prompt="x", params={"response_format": {"type": "json_object"}}).misfit
    assert misfit is not None
    assert misfit({}) is None
    assert misfit([1]) is not None
    assert request({}, prompt="x", params={"response_format": {"type": "text"}}).misfit is None


def test_every_row_names_its_template_by_content() -> None:
    made = request({"a": "x"}, prompt="{{ a }}", params={"max_tokens": 1})
    assert made.template_sha256 == document(prompt="{{ a }}", params={"max_tokens": 1}).template_sha256
    assert made.template_sha256 != request({"a": "x"}, prompt="{{ a }}", params={"max_tokens": 2}).template_sha256
    assert request(line(), form="openai").template_sha256 is None


def test_a_row_that_is_never_asked_is_an_error_with_its_columns_and_its_template() -> None:
    plan = document(prompt="{{ a }}")
    made = unasked(plan, 2, Row(3, 0, 4, columns={"a": "x"}), RowError("code", "why"), 1, "ecs")
    assert (made.custom_id, made.shard, made.row, made.columns) == ("row-00002-000003", 2, 3, {"a": "x"})
    assert (made.error_code, made.error_message, made.attempt, made.backend) == ("code", "why", 1, "ecs")
    assert made.template_sha256 == plan.template_sha256
