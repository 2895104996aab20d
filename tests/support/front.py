"""The API's step over the world in memory, as a caller uses it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from batchmill.contracts.api import Answer
from support.calls import event
from support.world import INPUT, INTAKE, World, jsonl

URI = f"s3://{INPUT}/rows.jsonl"
BODY: dict[str, Any] = {
    "input_file_id": URI,
    "endpoint": "/v1/embeddings",
    "completion_window": "24h",
    "input": "{{ text }}",
}
NOBODY = "batch_" + "0" * 24


def new_world() -> World:
    """A world with one input of three rows."""
    world = World()
    world.objects.put(INPUT, "rows.jsonl", jsonl(3))
    return world


def post(world: World, body: Any, key: str | None = None, request_id: str = "request-1") -> Answer:
    headers = {"Idempotency-Key": key} if key is not None else {}
    return world.api(event("POST", "/batches", body, headers, request_id=request_id))


def created(world: World, body: Any = BODY, key: str | None = None, request_id: str = "request-1") -> dict[str, Any]:
    answer = post(world, body, key, request_id)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def got(world: World, batch_id: str) -> Answer:
    return world.api(event("GET", f"/batches/{quote(batch_id, safe='')}"))


def changed(world: World, batch_id: str, verb: str) -> Answer:
    return world.api(event("POST", f"/batches/{quote(batch_id, safe='')}/{verb}"))


def cancelled(world: World, batch_id: str) -> Answer:
    return changed(world, batch_id, "cancel")


def listed(world: World, **query: str) -> Answer:
    return world.api(event("GET", "/batches", query=query))


def error(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)
    assert set(found) == {"error"}
    assert set(found["error"]) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"] == "request-1"
    detail: dict[str, Any] = found["error"]
    return detail


def untouched(world: World) -> bool:
    return not world.batches.recent(10) and not world.queue.depth(INTAKE)


def deliver(world: World) -> None:
    for message in world.queue.messages[INTAKE]:
        world.intake(message.body)
