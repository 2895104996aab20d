"""The API's front by HTTP, through the real gateway's stand-in, authorizer, functions, state machine and workers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
import requests

from batchmill.domain.batch import BatchStatus
from support.caller import Client
from support.deployed import Deployed


@pytest.fixture(scope="module")
def client(stack: Deployed) -> Client:
    return Client(stack)


def error(answer: requests.Response, status: int) -> dict[str, Any]:
    """What was wrong, in OpenAI's shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["x-request-id"]
    detail: dict[str, Any] = answer.json()["error"]
    assert set(detail) == {"message", "type", "param", "code"}
    assert "Traceback" not in answer.text
    return detail


def test_a_batch_posted_by_plain_http_ends_in_parquet(client: Client) -> None:
    answer = client.ask("POST", "/batches", json=client.body(client.put("plain", 150), metadata={"team": "a"}))
    assert answer.status_code == 200, answer.text
    batch = answer.json()
    assert (batch["status"], batch["metadata"]) == ("validating", {"team": "a"})
    assert client.ask("GET", f"/batches/{batch['id']}").status_code == 200
    assert client.stack.final(batch["id"]).status is BatchStatus.COMPLETED
    shown = client.ask("GET", f"/batches/{batch['id']}").json()
    assert (shown["status"], shown["request_counts"]) == ("completed", {"total": 150, "completed": 150, "failed": 0})
    rows = client.stack.rows(batch["id"])
    assert sorted(int(row["id"]) for row in rows) == list(range(150))
    parts = [f"s3://{client.stack.data}/{key}" for key in client.stack.parts(batch["id"])]
    assert parts
    assert all(part.startswith(shown["results"]) for part in parts)
    assert shown["manifest"] == f"s3://{client.stack.data}/batches/{batch['id']}/manifest.json"
    assert len(client.stack.machine_executions(batch["id"])) == 1


def test_openais_own_client_creates_retrieves_lists_and_cannot_cancel_what_is_done(client: Client) -> None:
    lines = [
        {
            "custom_id": f"q{i}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"messages": [], "model": "scripted"},
        }
        for i in range(5)
    ]
    for line in lines:
        line["body"]["messages"] = [{"role": "user", "content": "[[sdk]] hello"}]  # type: ignore[index]
    key = "uploads/sdk.jsonl"
    client.stack.s3.put_object(Bucket=client.stack.data, Key=key, Body="\n".join(map(json.dumps, lines)).encode())
    with openai.OpenAI(base_url=client.base, api_key=client.key, max_retries=0) as sdk:
        batch = sdk.batches.create(
            input_file_id=f"s3://{client.stack.data}/{key}",
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"by": "sdk"},
            extra_body={"name": "from the sdk"},
        )
        assert isinstance(batch, openai.types.Batch)
        assert (batch.status, batch.model, batch.metadata) == ("validating", "scripted", {"by": "sdk"})
        client.stack.final(batch.id)
        done = sdk.batches.retrieve(batch.id)
        assert done.status == "completed"
        assert done.request_counts is not None
        assert (done.request_counts.completed, done.model_extra and done.model_extra["name"]) == (5, "from the sdk")
        assert done.usage is not None
        assert done.usage.total_tokens > 0
        listed = [item.id for item in sdk.batches.list(limit=1)]
        assert (listed[0], len(listed)) == (batch.id, client.stored())
        with pytest.raises(openai.ConflictError):
            sdk.batches.cancel(batch.id)
        with pytest.raises(openai.NotFoundError):
            sdk.batches.retrieve("batch_" + "0" * 24)
        with pytest.raises(openai.AuthenticationError):
            sdk.with_options(api_key="wrong" * 9).batches.list()
    assert {row["custom_id"] for row in client.stack.rows(batch.id)} == {f"q{i}" for i in range(5)}


@pytest.mark.parametrize(
    ("key", "code"), [(None, "missing_api_key"), ("wrong", "invalid_api_key"), ("k" * 48, "invalid_api_key")]
)
def test_who_has_not_the_key_gets_nothing_and_leaves_nothing(client: Client, key: str | None, code: str) -> None:
    uri, before = client.put("nokey", 1), client.stored()
    for method, path in (("POST", "/batches"), ("GET", "/batches"), ("POST", "/batches/x/cancel")):
        answer = client.ask(method, path, key, json=client.body(uri))
        assert error(answer, 401)["code"] == code
    assert client.stored() == before


def test_a_wrong_body_is_named_and_leaves_nothing(client: Client) -> None:
    uri, before = client.put("wrong", 1), client.stored()
    for change, param in (
        ({"completion_window": "soon"}, "completion_window"),
        ({"input": "{{"}, "input"),
        ({"colour": "red"}, "colour"),
        ({"input_file_id": "s3://somebody-elses/x.jsonl"}, "input_file_id"),
        ({"input_file_id": f"s3://{client.stack.input}/api/nothing.jsonl"}, "input_file_id"),
        ({"input_file_id": f"s3://{client.stack.data}/batches/x/batch.json"}, "input_file_id"),
    ):
        answer = client.ask("POST", "/batches", json={**client.body(uri), **change})
        assert error(answer, 400)["param"] == param
    assert error(client.ask("POST", "/batches", data=b"{"), 400)["type"] == "invalid_request_error"
    assert error(client.ask("POST", "/batches", data=b"x" * 11_000_000), 413)["code"] == "request_too_large"
    assert error(client.ask("POST", "/batches", json=client.body(uri, params={"x": "y" * 300_000})), 413)
    assert client.stored() == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/batches/batch_000000000000000000000000", 404),
        ("GET", "/batches/xyz", 404),
        ("GET", "/batches/%ff%00é", 404),
        ("POST", "/batches/xyz/cancel", 404),
        ("GET", "/batches?after=xyz", 404),
        ("GET", "/batches?limit=1000", 400),
        ("GET", "/files", 404),
        ("PUT", "/batches", 405),
        ("DELETE", "/batches/batch_000000000000000000000000", 405),
        ("GET", "/batches/xyz/cancel", 405),
    ],
)
def test_what_is_not_there_is_said_so(client: Client, method: str, path: str, status: int) -> None:
    assert error(client.ask(method, path), status)["type"] == "invalid_request_error"


def test_two_concurrent_creations_with_one_key_are_one_batch(client: Client) -> None:
    body, before = client.body(client.put("twice", 20)), client.stored()

    def create(body: dict[str, Any]) -> requests.Response:
        return client.ask("POST", "/batches", json=body, headers={"Idempotency-Key": "twice"})

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(create, [body, body]))
    assert [answer.status_code for answer in answers] == [200, 200]
    [batch_id] = {answer.json()["id"] for answer in answers}
    assert client.stack.final(batch_id).status is BatchStatus.COMPLETED
    assert len(client.stack.machine_executions(batch_id)) == 1
    refused = create({**body, "input": "{{ text }}!"})
    assert error(refused, 409)["code"] == "idempotency_key_reused"
    assert refused.headers["x-should-retry"] == "false"
    assert client.stored() == before + 1
    received = client.stack.received()
    assert [received[f"twice-{i}"] for i in range(20)] == [1] * 20
