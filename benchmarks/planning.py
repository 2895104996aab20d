"""One input planned in this process, and what that took: `python -m benchmarks.planning CASE`, CASE being JSON.

The step is the real one. Its objects are sparse or a local file, its table holds one record in memory.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from batchmill.adapters.jinja import JinjaTemplates
from batchmill.adapters.json_schema import JsonSchemas
from batchmill.adapters.late_tables import LateTables
from batchmill.adapters.system_clock import SystemClock
from batchmill.adapters.zstd import unpacked
from batchmill.contracts.pools import Pool
from batchmill.contracts.workflow import RunInput
from batchmill.domain.batch import Batch, BatchStatus, Input
from batchmill.domain.places import InputPlaces
from batchmill.ports.batches import Batches
from batchmill.steps.plan import Plan
from benchmarks import machine, sparse
from benchmarks.sparse import DATA, INPUT, Content, CountingObjects

RUNS = 5
SPEC = {"endpoint": "/v1/embeddings", "input": "{{ subject }}: {{ body }}", "custom_id": "id"}
_BATCH = "batch"

Kind = Literal["jsonl", "csv", "parquet"]
"""What an input holds."""


@dataclass(frozen=True)
class Case:
    """An input of `size` bytes. `tail`: a file with its footer; `file`: the input itself."""

    kind: Kind
    size: int
    tail: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Cost:
    """What planning took: medians of `seconds` and of `cpu_s` over RUNS; `peak` and `before` are bytes of memory held.

    `before` is what Python and the modules take, before anything is planned. None where the system does not say.
    """

    seconds: float
    cpu_s: float
    requests: int
    bytes: int
    shards: int
    peak: int | None
    before: int | None


class OneBatch:
    """The two methods of `ports.batches.Batches` that plan calls, over one record."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def get(self, batch_id: str) -> Batch:  # noqa: ARG002 - there is one
        """The record."""
        return self.batch

    def change(self, batch_id: str, change: Callable[[Batch], Batch]) -> Batch:  # noqa: ARG002
        """The record, changed."""
        self.batch = change(self.batch)
        return self.batch


def measured(case: Case) -> Cost:
    """Plan the case RUNS times, each time as if it were the first."""
    before, peak = machine.peak_rss(os.getpid()), None
    times, made = [], None
    for _ in range(RUNS):
        objects = CountingObjects({_key(case): (case.size, content(case))})
        step, batches = plan_of(case, objects)
        gc.collect()  # the last run's leavings are not this one's
        wall, cpu = time.perf_counter(), time.process_time()
        step(RunInput(batch_id=_BATCH, run=0))
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
        peak = peak or machine.peak_rss(os.getpid())
        made = objects.requests, objects.bytes_read, batches.batch.shards
    assert made is not None
    seconds, cpu_s = (statistics.median(each) for each in zip(*times, strict=True))
    return Cost(seconds, cpu_s, *made, peak, before)


def content(case: Case) -> Content:
    """The bytes of a case's input."""
    if case.file:
        return sparse.stored(Path(case.file))
    if case.tail:
        return sparse.ending(Path(case.tail).read_bytes(), case.size)
    return sparse.tiled(sparse.jsonl_tile()) if case.kind == "jsonl" else sparse.tiled(sparse.csv_tile(), sparse.HEADER)


def plan_of(case: Case, objects: CountingObjects) -> tuple[Plan, OneBatch]:
    """The step and its table."""
    spec: dict[str, Any] = {**SPEC, "csv": {"quoted_newlines": False}} if case.kind == "csv" else SPEC
    now = time.time()
    batch = Batch(
        batch_id=_BATCH,
        status=BatchStatus.VALIDATING,
        inputs=(Input(INPUT, _key(case)),),
        spec=spec,
        created_at=now,
        deadline=now + 86_400,
    )
    batches = OneBatch(batch)
    step = Plan(
        objects=objects,
        batches=cast(Batches, batches),
        templates=JinjaTemplates(),
        schemas=JsonSchemas(),
        tables=LateTables(objects),
        zstd=unpacked,
        clock=SystemClock(),
        places=InputPlaces(INPUT, DATA),
        pools={"default": Pool(queue_url="")},
        shard_rows=5000,
        seconds=720.0,
    )
    return step, batches


def _key(case: Case) -> str:
    return f"input.{case.kind}"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(measured(Case(**json.loads(sys.argv[1]))))))
