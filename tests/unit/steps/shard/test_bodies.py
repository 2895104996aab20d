from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from batchmill.contracts.plan import PlanDocument
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import SpecInvalid
from batchmill.steps.batch.accepting import stored
from batchmill.steps.shard.bodies import body_source, check_repair, fixed_schema, template_sha256, written

CHAT = "/v1/chat/completions"
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def made(**fields: Any) -> BatchSpec:
    return BatchSpec(**fields)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"endpoint": "/v1/embeddings", "prompt": "x"}, "takes no prompt"),
        ({"endpoint": "/v1/embeddings", "messages": [{"role": "user", "content": "x"}]}, "takes no messages"),
        ({"endpoint": CHAT, "input": "x"}, "takes a prompt"),
        ({"endpoint": "/v1/completions", "prompt": "x", "system": "y"}, "takes a prompt alone"),
        ({"endpoint": "/v1/completions", "prompt": "x", "image": "y"}, "takes a prompt alone"),
        ({"endpoint": CHAT}, "rows need a template"),
        ({"messages": [{"role": "system", "content": "x"}], "image": "y"}, "no message of the user's"),
    ],
)
def test_a_field_that_the_endpoint_does_not_take_is_refused(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecInvalid, match=words):
        body_source(made(**spec))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"prompt": "x", "input": "y"}, "prompt and input"),
        ({"messages": [{"role": "user", "content": "x"}], "body": {}}, "messages and body"),
        ({"system": "x"}, "system needs a prompt"),
        ({"image": "x", "input": "y"}, "image needs a prompt"),
        ({"messages": []}, "at least 1"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "role"),
        ({"prompt": "x", "repair": 4}, "less than or equal to 3"),
        ({"prompt": "x", "context": "guess"}, "context"),
        ({"prompt": "x", "format": "openai"}, "remove prompt"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        made(**spec)


def test_the_same_template_has_the_same_hash_after_every_journey() -> None:
    spec = made(
        prompt="{{ q }}",
        messages=[{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}],
        params={"temperature": 0.5},
    )
    again = BatchSpec.model_validate(stored(spec))
    told = template_sha256(spec)
    document = PlanDocument(
        batch_id="b", run=0, spec=again, format="jsonl", objects=(), columns=(), header=None, shards=0,
        rows_estimated=0, model="m", fingerprint="f", template_sha256=told,
    )  # fmt: skip
    read = PlanDocument.model_validate_json(document.model_dump_json(indent=2))
    assert template_sha256(again) == template_sha256(read.spec) == read.template_sha256 == told
    assert len(told) == 64


def test_what_decides_an_answer_changes_the_hash_and_nothing_else_does() -> None:
    plain = made(prompt="x")
    assert template_sha256(plain) == template_sha256(made(prompt="x", name="n", completion_window="1h"))
    for other in ({"system": "s"}, {"image": "https://x"}, {"params": {"seed": 1}}, {"prompt": "y"}):
        assert template_sha256(made(**{"prompt": "x", **other})) != template_sha256(plain)
    assert template_sha256(made(format="openai")) == ""


def test_a_schema_is_fixed_unless_a_row_may_change_it() -> None:
    assert fixed_schema(made(prompt="x", params={"response_format": FORMAT})) == {"type": "object"}
    assert fixed_schema(made(body={"response_format": FORMAT})) == {"type": "object"}
    assert fixed_schema(made(prompt="x", params={"response_format": "{{ s | native }}"})) is None
    assert fixed_schema(made(prompt="x")) is None
    with pytest.raises(SpecInvalid, match="neither a schema nor one as text"):
        fixed_schema(made(prompt="x", params={"structured_outputs": {"json": "{"}}))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"prompt": "x", "repair": 1}, "needs a schema"),
        ({"endpoint": "/v1/completions", "prompt": "x", "repair": 1}, "not with /v1/completions"),
    ],
)
def test_a_repair_needs_a_chat_and_a_schema(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecInvalid, match=words):
        check_repair(made(**spec))
    check_repair(made(prompt="x", repair=1, params={"response_format": FORMAT}))
    check_repair(made(repair=1))  # OpenAI lines may bring schemas of their own


def test_what_json_cannot_say_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        written({"x": [2**70, float("inf")]})
    with pytest.raises(TypeError):
        written({"x": object()})
