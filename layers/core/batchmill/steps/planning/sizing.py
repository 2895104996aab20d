"""How large a shard is: as much work as its worker does in some ten minutes, within what can be held and planned."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batchmill.contracts.pools import Pool
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import PlanTooLarge
from batchmill.domain.request import Endpoint
from batchmill.steps.shard.bodies import body_source

SHARD_SECONDS = 600
"""Of one worker's work. Under 5 minutes the start of a shard counts, over 15 the last one keeps a batch waiting."""

BYTES_PER_TOKEN = 4.0
"""English text: "1 token ~= 4 chars in English" (OpenAI, What are tokens and how to count them)."""

OUTPUT_TOKENS = 200
"""Of an answer that nothing bounds: the mean over ShareGPT's conversations, by which vLLM's own benchmark serves."""

SHARDS_LIMIT = 50_000
"""Shards of one run: beyond it the map's state and its list of children grow past what a state machine carries."""

SHARD_BYTES_LIMIT = 64 * 1024 * 1024
"""No shard is cut larger, so that a worker, and land in its Lambda, can hold one."""

_GENERATING = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS})
_BOUNDS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True)
class RowSize:
    """A mean row: bytes where it lies, bytes of text that it is, and the output it asks for itself (OpenAI lines)."""

    stored: float
    text: float
    output_tokens: float | None = None


def output_tokens(spec: BatchSpec, row: RowSize) -> float:
    """Tokens that an answer is expected to have: what bounds it, or OUTPUT_TOKENS; none where nothing is generated."""
    if row.output_tokens is not None:
        return row.output_tokens
    source = body_source(spec) if spec.ways else spec.params
    bound = next((value for name in _BOUNDS if isinstance(value := source.get(name), int) and value > 0), None)
    if bound is not None:
        return float(bound)
    return OUTPUT_TOKENS if spec.endpoint in _GENERATING else 0.0


def row_tokens(spec: BatchSpec, row: RowSize) -> float:
    """Tokens of a row's work, prompt and output; what its template adds to it included."""
    fixed = len(json.dumps(body_source(spec))) if spec.ways else 0
    return max(1.0, (row.text + fixed) / BYTES_PER_TOKEN + output_tokens(spec, row))


def shard_rows(spec: BatchSpec, pool: Pool, row: RowSize, most: int) -> int:
    """Rows that a shard aims at: what the spec says, else SHARD_SECONDS of work, `most` at most; one at least.

    No more than fit into SHARD_BYTES_LIMIT.
    """
    work = pool.tokens_per_second * SHARD_SECONDS / row_tokens(spec, row)
    wanted = spec.shard_rows if spec.shard_rows is not None else min(work, most)
    return max(1, int(min(wanted, SHARD_BYTES_LIMIT / max(row.text, row.stored, 1.0))))


def target(spec: BatchSpec, pool: Pool, row: RowSize, most: int, extents: Sequence[int], table: bool) -> int:
    """What a shard of objects of these extents holds at most: bytes of lines, or rows of a table.

    `most` rows in any case. Raises PlanTooLarge where the shards would be too many.
    """
    rows = shard_rows(spec, pool, row, most)
    limit = max(1, int(SHARD_BYTES_LIMIT / row.text)) if table else SHARD_BYTES_LIMIT
    aim = max(1, min(int(rows * (1.0 if table else row.stored)), limit))
    # What the user says of shards is kept to; our own aim gives way to what a state machine carries.
    return widened(aim, aim if spec.shard_rows is not None else limit, lambda wanted: shards_of(extents, wanted))


def widened(target: int, most: int, count: Callable[[int], int]) -> int:
    """The least target, of those that grow from this one by a quarter, under which there are few enough shards.

    `count` tells how many a target makes. Raises PlanTooLarge where there are too many even at `most`.
    """
    while (shards := count(target)) > SHARDS_LIMIT:
        if target >= most:
            raise too_many(shards)
        target = min(most, target + target // 4 + 1)
    return target


def too_many(shards: int) -> PlanTooLarge:
    """The refusal, with the way out."""
    return PlanTooLarge(f"{shards:,} shards, at most {SHARDS_LIMIT:,}: raise shard_rows, or split the input")


def shards_of(extents: Sequence[int], target: int) -> int:
    """How many shards objects of these sizes make, of `target` each at most."""
    return sum(-(-extent // target) for extent in extents)
