"""A running embedded stack over a scripted engine, as a test handles it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import requests

from batchmill.adapters.dynamodb import DynamoBatches
from batchmill.adapters.engine_process import EngineProcess
from batchmill.adapters.s3 import S3Objects
from batchmill.domain import ids
from batchmill.domain.batch import Batch
from batchmill.domain.shard import Shard
from batchmill.local.host import Deployment
from batchmill.local.stack import Stack, StackOptions
from support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
LEASE_SECONDS = 5
PARAMETERS = {"Model": "scripted", "LeaseSeconds": str(LEASE_SECONDS), "ShardRows": "100", "MaxConcurrency": "20"}


class Deployed:
    """One stack. `rows` and the like read what a user would read, by the user's ways."""

    def __init__(self, stack: Stack, deployment: Deployment, engine: EngineProcess, folder: Path) -> None:
        self.stack, self.outputs, self.engine, self.folder = stack, deployment.outputs, engine, folder
        self.resources = deployment.resources
        self.s3 = stack.client("s3")
        self.batches = DynamoBatches(stack.client("dynamodb"), self.outputs["TableName"])
        self.objects = S3Objects(self.s3)

    @property
    def data(self) -> str:
        return self.outputs["DataBucket"]

    @property
    def input(self) -> str:
        return self.outputs["InputBucket"]

    def profile(self, name: str, text: str) -> None:
        self.s3.put_object(Bucket=self.data, Key=f"profiles/{name}.yaml", Body=text.encode())

    def drop(self, key: str, body: bytes) -> str:
        """Put a file into the input bucket; the id that its batch will have."""
        version = self.s3.put_object(Bucket=self.input, Key=key, Body=body)["VersionId"]
        return ids.batch_id(ids.object_key(self.input, key, version))

    def batch(self, batch_id: str) -> Batch:
        return self.batches.get(batch_id)

    def known(self, batch_id: str) -> bool:
        return any(batch.batch_id == batch_id for batch in self.batches.recent(100))

    def final(self, batch_id: str, seconds: float = 60.0) -> Batch:
        """Wait until the batch is final."""
        until(lambda: self.known(batch_id) and self.batch(batch_id).final, seconds)
        return self.batch(batch_id)

    def shards(self, batch_id: str) -> list[Shard]:
        return list(self.batches.shards(batch_id, 0))

    def parts(self, batch_id: str) -> dict[str, str]:
        """Key to ETag of each part."""
        found = self.objects.list(self.data, ids.results_prefix(batch_id, 0))
        return {info.key: info.etag for info in found}

    def rows(self, batch_id: str) -> list[dict[str, Any]]:
        """Every row of every part."""
        found = []
        for key in self.parts(batch_id):
            path = self.folder / key.replace("/", "_")
            path.write_bytes(self.objects.get(self.data, key))
            found += pq.read_table(path).to_pylist()
        return found

    def manifest(self, batch_id: str) -> Mapping[str, Any]:
        loaded: Mapping[str, Any] = json.loads(self.objects.get(self.data, f"batches/{batch_id}/manifest.json"))
        return loaded

    def received(self) -> Counter[str]:
        """How often the engine received each marked request."""
        stats = requests.get(f"{self.engine.url.removesuffix('/v1')}/scripted/stats", timeout=10).json()
        return Counter({name: counts["received"] for name, counts in stats["by_marker"].items()})

    def sweep(self) -> None:
        """Run the sweep once, now."""
        answer = self.stack.client("lambda").invoke(FunctionName=self.resources["SweepFunction"], Payload=b"{}")
        assert "FunctionError" not in answer

    def holder_pid(self, batch_id: str) -> int:
        """Wait for a worker that holds a shard of the batch and has saved a checkpoint of it; its process."""
        prefix = f"batches/{batch_id}/shards/"
        until(lambda: next(self.objects.list(self.data, prefix), None))
        held = [shard.holder for shard in self.shards(batch_id) if shard.holder]
        return int(held[0].rsplit("-", 2)[1])

    def machine_executions(self, batch_id: str) -> list[str]:
        arn = self.outputs["StateMachineArn"]
        listed = self.stack.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
        return sorted(item["executionArn"] for item in listed if item["name"].startswith(batch_id))


@contextmanager
def deployed(
    folder: Path,
    script: Mapping[str, Any],
    workers: int | None = 2,
    speed: float = 30.0,
    parameters: Mapping[str, str] | None = None,
) -> Iterator[Deployed]:
    """A stack of its own over a scripted engine of its own. `workers` None: as many as the template says.

    `parameters` are the template's, beside those of every test.
    """
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    command = ["-m", "batchmill.local.engines.scripted", "--port", "{port}", "--script", str(path)]
    engine = EngineProcess([sys.executable, *command], folder / "engine.log")
    asyncio.run(engine.start())
    options = StackOptions(
        template=ROOT / "template.yaml",
        parameters={**PARAMETERS, **(parameters or {})},
        workers=workers,
        environment={
            "BATCHMILL_ENGINE_URL": engine.url,
            "BATCHMILL_WINDOW": "16",
            "BATCHMILL_POLL_SECONDS": "1",
            "BATCHMILL_CHECKPOINT_SECONDS": "0.3",
        },
        speed=speed,
        log_folder=folder / "logs",
    )
    stack = Stack(options)
    try:
        yield Deployed(stack, stack.start(), engine, folder)
    finally:
        stack.stop()
        asyncio.run(engine.stop())


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, number)


def rows_jsonl(count: int, tag: str) -> bytes:
    """Rows whose text holds a marker that the scripted engine counts: `[[<tag>-<i>]]`."""
    return b"".join(json.dumps({"id": i, "text": f"[[{tag}-{i}]] hello"}).encode() + b"\n" for i in range(count))
