from __future__ import annotations

import json

import pytest

from batchmill.adapters.json_schema import JsonSchemas
from batchmill.domain.request import Outcome, Request, RowError
from batchmill.ports.engine import Reply
from batchmill.steps.shard.judging import MESSAGE_LIMIT, TryAgain, judge, outcome

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def request(url: str = "/v1/chat/completions", schema: object = None, place: str = "") -> Request:
    misfit = JsonSchemas().compile(schema) if schema is not None else None
    payload = b'{"model":"m"}'
    return Request(3, "c", url, payload, {"a": "b"}, misfit=misfit, template_sha256="t", place=place)


def answered(answer: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(answer).encode(), latency_ms=12)


def chat(text: str, finish_reason: str = "stop") -> dict[str, object]:
    return {
        "model": "real-name",
        "choices": [{"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
    }


def outcome_of(reply: Reply, asked: Request | None = None) -> Outcome:
    asked = asked or request()
    judged = judge(asked, reply)
    assert not isinstance(judged, TryAgain)
    return outcome(asked, 7, reply, judged)


def test_a_chat_answer_is_a_result_with_its_tokens_and_hashes() -> None:
    made = outcome_of(answered(chat("hello")))
    assert (made.status, made.output_text, made.finish_reason, made.model) == ("ok", "hello", "stop", "real-name")
    assert (made.prompt_tokens, made.completion_tokens, made.cached_tokens, made.latency_ms) == (5, 2, 4, 12)
    assert (made.shard, made.row, made.custom_id, made.columns) == (7, 3, "c", {"a": "b"})
    assert made.response is not None
    assert json.loads(made.response) == chat("hello")
    assert made.request_sha256 == request().sha256 != made.response_sha256
    assert (made.template_sha256, made.repairs) == ("t", 0)


def test_a_chat_answer_that_is_json_stands_in_output_json_too() -> None:
    assert outcome_of(answered(chat('{"a": 1}'))).output_json == '{"a": 1}'
    assert outcome_of(answered(chat("plain"))).output_json is None


def test_a_completion_gives_its_text_and_an_embedding_its_vector() -> None:
    text = {"choices": [{"text": "hi", "finish_reason": "length"}]}
    assert outcome_of(answered(text), request("/v1/completions")).output_text == "hi"
    vector = {"data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}]}
    assert outcome_of(answered(vector), request("/v1/embeddings")).output_json == "[0.5,1]"


def test_what_any_other_endpoint_answers_stands_in_output_json() -> None:
    classified = {"data": [{"index": 0, "label": "billing", "probs": [0.9, 0.1]}]}
    made = outcome_of(answered(classified), request("/v1/classify"))
    assert (made.output_text, json.loads(made.output_json or "")["probs"]) == ("billing", [0.9, 0.1])
    scores = {"data": [{"index": 0, "score": 0.1}, {"index": 1, "score": 0.2}]}
    made = outcome_of(answered(scores), request("/v1/score"))
    assert [item["score"] for item in json.loads(made.output_json or "")] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answered({"error": {"message": "too long"}}, 400), "engine_rejected"),
        (answered({"message": "too long"}, 422), "engine_rejected"),
        (answered({"detail": "Not Found"}, 404), "engine_misconfigured"),
        (answered({"error": {"message": "The model `x` does not exist.", "param": "model"}}, 404), "model_not_found"),
        (answered({"error": {"message": "no", "code": "model_not_found"}}, 404), "model_not_found"),
        (answered({"error": {"message": "no", "code": "context_length_exceeded"}}, 400), "context_length_exceeded"),
        (
            answered({"error": {"message": "This model's maximum context length is 10 tokens. However, …"}}, 400),
            "context_length_exceeded",
        ),
        (
            answered({"error": {"message": "the request exceeds the available context size", "type": "x"}}, 400),
            "context_length_exceeded",
        ),
        (Reply(401, b"<html>", 1), "engine_misconfigured"),
        (answered({"error": {"message": "no"}}), "engine_rejected"),
        (answered({"object": "error", "message": "no"}), "engine_rejected"),
    ],
)
def test_the_rows_or_the_configurations_fault_is_an_error_at_once(reply: Reply, code: str) -> None:
    made = outcome_of(reply)
    assert (made.status, made.error_code, made.output_text) == ("error", code, None)
    assert made.error_message is not None
    assert made.error_message.startswith(f"HTTP {reply.status}: ")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(0, b"", 1, error="ServerDisconnectedError"),
        answered({}, 429),
        answered({}, 500),
        Reply(200, b"<html>", 1),
        Reply(200, b"[]", 1),
        answered(chat("half an ans", "abort")),
        answered({"choices": chat("whole")["choices"] + chat("half", "abort")["choices"]}),  # type: ignore[operator]
        answered({"choices": []}),
        answered({}),
        Reply(302, b"", 1),
    ],
)
def test_what_is_no_answer_is_tried_again(reply: Reply) -> None:
    assert isinstance(judge(request(), reply), TryAgain)


def test_an_output_cut_short_under_a_schema_is_an_error_not_a_success() -> None:
    cut = answered(chat('{"a": ', "length"))
    assert outcome_of(cut, request(schema=SCHEMA)).error_code == "truncated"
    assert outcome_of(cut).ok


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": "secret"}', 'the output does not fit its schema: $.a: must satisfy {"type": "integer"}'),
        ("{}", "the output does not fit its schema: $: lacks 'a'"),
        ("secret", "the output is not JSON"),
        ('{"a": NaN}', "the output is not JSON"),
        ("", "the output is not JSON"),
        ("[" * 100_000, "the output is not JSON"),
    ],
)
def test_an_output_that_does_not_fit_its_schema_is_an_error_that_keeps_the_answer(text: str, why: str) -> None:
    made = outcome_of(answered(chat(text)), request(schema=SCHEMA))
    assert (made.error_code, made.error_message, made.output_text) == ("schema_mismatch", why, None)
    assert json.loads(made.response or "") == chat(text)
    assert (made.prompt_tokens, made.completion_tokens) == (5, 2)


def test_an_output_that_fits_is_a_result_whatever_order_it_is_in() -> None:
    made = outcome_of(answered(chat('{"b": 2, "a": 1}')), request(schema=SCHEMA))
    assert (made.status, made.output_json) == ("ok", '{"b": 2, "a": 1}')


def test_each_choice_must_fit_and_a_call_of_a_tool_need_not() -> None:
    whole, wrong = chat('{"a": 1}')["choices"], chat("{}")["choices"]
    assert isinstance(whole, list)
    assert isinstance(wrong, list)
    assert outcome_of(answered({"choices": whole + wrong}), request(schema=SCHEMA)).error_code == "schema_mismatch"
    called = {"message": {"content": None, "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"}
    assert outcome_of(answered({"choices": [called]}), request(schema=SCHEMA)).ok


@pytest.mark.parametrize("choices", [["x"], [None], [{"message": "x"}], [{"message": {"content": [1]}}], [{}], "x"])
def test_choices_of_no_known_form_fit_no_schema_and_break_nothing(choices: object) -> None:
    judged = judge(request(schema=SCHEMA), answered({"choices": choices}))
    assert isinstance(judged, RowError)
    assert judged.code == "schema_mismatch"


def test_an_error_names_the_rows_place() -> None:
    made = outcome_of(answered({"message": "no"}, 400), request(place="line 12"))
    assert made.error_message == "line 12: HTTP 400: no"


def test_no_message_holds_the_signature_of_a_link() -> None:
    link = "https://b.s3.amazonaws.com/k?versionId=1&X-Amz-Algorithm=A&X-Amz-Signature=secret"
    made = outcome_of(answered({"error": {"message": f"cannot fetch '{link}' now"}}, 400))
    assert made.error_message == "HTTP 400: cannot fetch 'https://b.s3.amazonaws.com/k' now"


def test_an_engines_message_is_kept_short_because_it_may_quote_the_prompt() -> None:
    judged = judge(request(), answered({"error": {"message": "x" * 10_000}}, 400))
    assert isinstance(judged, RowError)
    assert len(judged.message) <= MESSAGE_LIMIT + len("HTTP 400: ")


def test_numbers_that_are_no_counts_are_left_out() -> None:
    odd = {**chat("x"), "usage": {"prompt_tokens": "5", "completion_tokens": True, "prompt_tokens_details": None}}
    made = outcome_of(answered(odd))
    assert (made.prompt_tokens, made.completion_tokens, made.cached_tokens) == (None, None, None)
