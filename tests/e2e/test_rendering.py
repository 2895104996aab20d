"""What a row becomes, and what becomes of its answer, through the whole pipeline."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchmill.domain.batch import BatchStatus
from batchmill.local.engines.scripted_text import expected_json, expected_text
from support.deployed import Deployed, deployed

SCHEMA = {"type": "object", "properties": {"scripted": {"type": "string"}}, "required": ["scripted"]}


def wants(schema: object) -> str:
    """A profile's params that ask for JSON of a schema, with a little of its own for each row."""
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return f"params: {json.dumps({'response_format': wanted, 'max_tokens': '{{ most | native }}'})}\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Over an engine that tells its context and counts tokens: a word is one."""
    with deployed(tmp_path_factory.mktemp("stack"), {"max_model_len": 2000, "tokenizer": True}) as running:
        yield running


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def final(stack: Deployed, profile: str, name: str, body: bytes, key: str = "a.jsonl") -> list[dict[str, Any]]:
    """The rows of a batch that completes, in order."""
    stack.profile(name, profile)
    batch = stack.final(stack.drop(f"{name}/{key}", body))
    assert batch.status is BatchStatus.COMPLETED, batch.problems
    return sorted(stack.rows(batch.batch_id), key=lambda row: (row["shard"], row["row"]))


def test_examples_params_and_a_schema_of_a_row_reach_the_engine_and_its_answer_fits(stack: Deployed) -> None:
    examples = "messages: [{role: user, content: '2+2'}, {role: assistant, content: '4'}]\n"
    profile = "system: sum\nprompt: '{{ q }}'\n" + examples + wants(SCHEMA)
    rows = final(stack, profile, "few", lines(*({"q": f"{i}+{i}", "most": 50} for i in range(20))))
    assert [row["output_json"] for row in rows] == [expected_json(f"sum\n2+2\n4\n{i}+{i}") for i in range(20)]
    assert {(row["status"], row["repairs"]) for row in rows} == {("ok", 0)}
    (named,) = {row["template_sha256"] for row in rows}
    assert len(named) == 64


def test_an_output_that_never_fits_is_an_error_with_its_repairs_and_all_its_tokens(stack: Deployed) -> None:
    wrong = {"type": "object", "properties": {"scripted": {"type": "integer"}}}
    (row,) = final(stack, "prompt: '{{ q }}'\nrepair: 2\n" + wants(wrong), "misfit", lines({"q": "one", "most": 50}))
    assert (row["error_code"], row["repairs"], row["completion_tokens"]) == ("schema_mismatch", 2, 24)
    assert row["error_message"].startswith("line 1: the output does not fit its schema: $.scripted: must satisfy")


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ("error", {None: 2, "context_length_exceeded": 1}),
        ("send", {None: 2, "context_length_exceeded": 1}),
        ("truncate", {None: 3}),
    ],
)
def test_a_row_longer_than_the_context_is_what_the_policy_says(
    stack: Deployed, policy: str, found: dict[str | None, int]
) -> None:
    body = lines({"q": "short"}, {"q": "word " * 2500}, {"q": "word " * 1500})
    rows = final(stack, f"prompt: '{{{{ q }}}}'\ncontext: {policy}\n", f"long-{policy}", body)
    assert Counter(row["error_code"] for row in rows) == found
    if policy == "error":
        said = "line 2: 2,500 tokens of prompt and 1 of output, where the model takes 2,000 in all"
        assert rows[1]["error_message"].startswith(said)
        assert rows[1]["latency_ms"] is None


def test_an_image_among_the_inputs_is_sent_as_a_link_and_any_other_is_the_rows_error(stack: Deployed) -> None:
    stack.s3.put_object(Bucket=stack.input, Key="pictures/a cat.png", Body=b"PNG")
    body = lines(
        {"url": f"s3://{stack.input}/pictures/a cat.png"},
        {"url": "s3://elsewhere/cat.png"},
        {"url": "https://x/cat.png"},
    )
    rows = final(stack, "prompt: what?\nimage: '{{ url }}'\n", "image", body)
    assert [row["error_code"] for row in rows] == [None, "invalid_image_url", None]
    shown = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "https://x/cat.png"}}]
    assert rows[2]["output_text"] == expected_text(json.dumps(shown, sort_keys=True))
    assert rows[1]["error_message"].startswith("line 2: images lie under s3://")


def test_a_template_without_end_fails_its_rows_and_holds_no_worker(stack: Deployed) -> None:
    loops = "{% for i in range(n) %}{% for j in range(n) %}{% endfor %}{% endfor %}{{ n }}"
    body = lines(*({"n": 1} for _ in range(5)), {"n": 99_999}, {"n": 2})
    rows = final(stack, f"prompt: '{loops}'\n", "loops", body)
    assert [row["error_code"] for row in rows] == [None] * 5 + ["render_failed", None]
    assert rows[5]["error_message"].startswith("line 6: messages[0].content: the template takes too long")


@pytest.mark.parametrize(
    ("profile", "row", "code"),
    [
        ("prompt: '{{ nothing }}'\n", {"q": "x"}, "render_failed"),
        ("prompt: '{% for i in range(99999) %}{{ q * 99999 }}{% endfor %}'\n", {"q": "x"}, "render_failed"),
        ("prompt: x\n" + wants({"type": "nonsense"}), {"most": 1}, "invalid_spec"),
        (
            "endpoint: /v1/chat/completions\n",
            {
                "custom_id": "a",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"messages": [], "stream": True},
            },
            "streaming_unsupported",
        ),
    ],
)
def test_what_fails_for_every_row_fails_the_batch_before_anything_is_asked(
    stack: Deployed, profile: str, row: dict[str, Any], code: str, tmp_path: Path
) -> None:
    name = f"bad-{tmp_path.name[-12:].strip('-_').lower()}"
    stack.profile(name, profile)
    batch = stack.final(stack.drop(f"{name}/a.jsonl", lines(row)))
    assert batch.status is BatchStatus.FAILED
    assert [problem.code for problem in batch.problems] == [code]
    assert stack.parts(batch.batch_id) == {}
