"""One row asked for: whether it has room, its tries, and its repairs where the output does not fit its schema."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from batchmill.contracts.spec import BatchSpec
from batchmill.domain.request import Outcome, Request, RowError, error_outcome, located
from batchmill.ports.engine import Reply
from batchmill.steps.shard.bodies import written
from batchmill.steps.shard.judging import SCHEMA_MISMATCH, outcome, output_text
from batchmill.steps.shard.window import NOT_SENT, Window

REPAIR = "This answer cannot be used: {fault}. Answer again, with nothing but JSON that fits the schema."
"""What the model is told of an output that does not fit."""


@dataclass(frozen=True)
class Asking:
    """Asks for the rows of one batch."""

    window: Window
    spec: BatchSpec

    async def __call__(self, request: Request, shard: int) -> Outcome:
        """The row's outcome, `backend` and `attempt` yet to be set. Raises EngineDown, Transient."""
        sent = await self.window.room.fitted(request, self.spec.context)
        if isinstance(sent, RowError):
            return unsent(request, shard, sent)
        reply, judged = await self.window.ask(sent)
        if reply is NOT_SENT and isinstance(judged, RowError):
            return unsent(request, shard, judged)
        made = outcome(request, shard, reply, judged)
        for repairs in range(1, self.spec.repair + 1):
            if not isinstance(judged, RowError) or judged.code != SCHEMA_MISMATCH:
                break
            sent = repaired(sent, reply, judged)
            reply, judged = await self.window.ask(sent)
            made = _added(made, outcome(request, shard, reply, judged), repairs)
        return made


def unsent(request: Request, shard: int, error: RowError) -> Outcome:
    """The outcome of a row that was rendered and not sent."""
    why = located(error, request.place) if request.place else error
    made = error_outcome(
        shard, request.row, request.custom_id, why, request.columns, 0, template_sha256=request.template_sha256
    )
    return replace(made, request_sha256=request.sha256)


def repaired(request: Request, reply: Reply, fault: RowError) -> Request:
    """The request with the output that does not fit, and what is wrong with it, as two more messages."""
    body = json.loads(request.payload)
    said = [
        {"role": "assistant", "content": output_text(reply.body) or ""},
        {"role": "user", "content": REPAIR.format(fault=fault.message)},
    ]
    return request._replace(payload=written({**body, "messages": [*body["messages"], *said]}))


def _added(before: Outcome, after: Outcome, repairs: int) -> Outcome:
    """The row's outcome after one more answer, the tokens of all of them added up."""
    if not after.ok and after.error_code != SCHEMA_MISMATCH:
        # What the repair failed of is not what is wrong with the row.
        said = f"{before.error_message}; asked again: {after.error_message}"
        after = replace(after, error_code=before.error_code, error_message=said, response=before.response)
    return replace(
        after,
        repairs=repairs,
        prompt_tokens=_sum(before.prompt_tokens, after.prompt_tokens),
        completion_tokens=_sum(before.completion_tokens, after.completion_tokens),
        cached_tokens=_sum(before.cached_tokens, after.cached_tokens),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
