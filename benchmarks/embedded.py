"""batchmill as a contender: the embedded stack, by `batchmill up`, and one submission a run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

import batchmill
from batchmill.client import StackClient
from batchmill.commands.connecting import connect
from batchmill.contracts.spec import parse_spec
from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.errors import BatchNotFound
from batchmill.local.clients import local_client
from benchmarks import machine
from benchmarks.measured import Timing
from benchmarks.workload import ENDPOINT, BenchFailed, Workload, check

SPEC = parse_spec({"endpoint": ENDPOINT, "format": "openai"}, "benchmarks")
POLL_S = 0.05
"""How often the batch's record is asked for; a time may be longer by so much."""
_LIMIT_S = 600.0
_STOP_S = 60.0
_WORKER = "ecs.py"


class EmbeddedBatchmill:
    """A running stack with one worker. It is a contender; peak memory is the worker's."""

    name = "batchmill"
    what = f"{batchmill.__version__}, the embedded stack, 1 worker: submission, checkpoints, commit, Parquet in S3"

    def __init__(self, client: StackClient, pid: int) -> None:
        self._client, self._pid = client, pid

    def run(self, workload: Workload, folder: Path) -> Timing:
        """Submit the file, wait until the batch is final, then fetch and check its results. Raises BenchFailed."""
        at, started = time.time(), time.perf_counter()
        batch_id = self._client.submit(
            [str(workload.path)], parse_spec({"endpoint": ENDPOINT, "format": "openai"}, "bench")
        )
        batch = self._final(batch_id, started)
        seconds = time.perf_counter() - started
        if batch.status is not BatchStatus.COMPLETED:
            raise BenchFailed(f"batchmill: {batch_id} is {batch.status}: {batch.problems}")
        found = self._client.download(batch, folder).files
        rows = [row for path in found for row in pq.read_table(path, columns=["custom_id", "output_text"]).to_pylist()]
        check(self.name, ((row["custom_id"], row["output_text"]) for row in rows), workload)
        return Timing(seconds, self._peak_rss(), _phases(batch, at))

    def _final(self, batch_id: str, started: float) -> Batch:
        while time.perf_counter() - started < _LIMIT_S:
            try:
                batch = self._client.get(batch_id)
            except BatchNotFound:
                batch = None
            if batch is not None and batch.final:
                return batch
            time.sleep(POLL_S)
        raise BenchFailed(f"batchmill: {batch_id} is not final after {_LIMIT_S:.0f} s")

    def _peak_rss(self) -> int | None:
        workers = [pid for pid in machine.family(self._pid) if _WORKER in machine.command(pid)]
        return max((peak for pid in workers if (peak := machine.peak_rss(pid)) is not None), default=None)


def _phases(batch: Batch, submitted: float) -> dict[str, float]:
    """Where the time went, by the record's own times."""
    times = batch.times
    running, closing = times[BatchStatus.IN_PROGRESS.value], times[BatchStatus.FINALIZING.value]
    return {
        "until dispatched": running - submitted,
        "shards": closing - running,
        "closing": times[BatchStatus.COMPLETED.value] - closing,
    }


@contextmanager
def embedded_batchmill(engine_url: str, window: int, folder: Path) -> Iterator[EmbeddedBatchmill]:
    """Starts the stack, and ends it. Raises BenchFailed where it does not come up."""
    command = [sys.executable, "-m", "batchmill", "up", "--json", "--engine", engine_url]
    command += ["--workers", "1", "--window", str(window), "--logs", str(folder / "logs")]
    told = folder / "up.log"
    with told.open("w") as log:
        # In a session of its own: a Ctrl-C is ours alone, and we end it in order.
        up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
    try:
        assert up.stdout is not None
        line = up.stdout.readline()
        if not line:
            raise BenchFailed(f"`batchmill up` ended: {told.read_text()[-2000:]}")
        place = json.loads(line)
        factory = partial(local_client, endpoint_url=place["aws_endpoint_url"])
        yield EmbeddedBatchmill(connect(place["stack_name"], factory), up.pid)
    finally:
        _end(up)


def _end(up: subprocess.Popen[str]) -> None:
    """SIGTERM; and where that is not enough, another, at which it ends all its processes at once."""
    for _ in range(2):
        up.send_signal(signal.SIGTERM)
        try:
            up.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            continue
        break
    if up.stdout is not None:
        up.stdout.close()
