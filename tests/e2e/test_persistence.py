"""`batchmill up --data`: the whole stack is killed in mid-batch, and another goes on from its folder."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests

from batchmill.adapters.dynamodb import DynamoBatches
from batchmill.adapters.engine_process import EngineProcess
from batchmill.commands.processes import descendants
from batchmill.domain import ids
from batchmill.domain.batch import Batch, BatchStatus
from batchmill.local.clients import local_client
from batchmill.local.keeping.secrets import FILE
from support.deployed import rows_jsonl
from support.waiting import alive, until

ROWS, SHARD_ROWS, WINDOW = 3600, 1800, 32  # a worker saves a shard at every thousand rows
PROFILE = f"endpoint: /v1/embeddings\ninput: '{{{{ text }}}}'\ncolumns: [id]\nshard_rows: {SHARD_ROWS}\n"


class Up:
    """A running `batchmill up`, as its user sees it."""

    def __init__(self, process: subprocess.Popen[str], told: dict[str, str]) -> None:
        self.process, self.told = process, told
        self.s3 = local_client("s3", told["aws_endpoint_url"])
        self.batches = DynamoBatches(local_client("dynamodb", told["aws_endpoint_url"]), told["table"])

    def end(self, number: signal.Signals) -> None:
        """Send the stack's process a signal, and wait until everything that it had started is gone."""
        if self.process.poll() is None:
            started = descendants()
            self.process.send_signal(number)
            self.process.wait(60)
            until(lambda: not any(alive(pid) for pid in started - descendants()), 60)

    def drop(self, key: str, body: bytes) -> str:
        bucket = self.told["input_bucket"]
        version = self.s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
        return ids.batch_id(ids.object_key(bucket, key, version))

    def secrets(self) -> list[str]:
        """What every secret of the stack holds."""
        client = local_client("secretsmanager", self.told["aws_endpoint_url"])
        names = sorted(secret["Name"] for secret in client.list_secrets()["SecretList"])
        return [client.get_secret_value(SecretId=name)["SecretString"] for name in names]

    def secret_arns(self) -> list[str]:
        """By what the stack's outputs name them."""
        client = local_client("secretsmanager", self.told["aws_endpoint_url"])
        return sorted(secret["ARN"] for secret in client.list_secrets()["SecretList"])

    def ask(self, key: str) -> int:
        """The status with which the API answers to a key."""
        url = f"{self.told['api_url']}/v1/batches"
        return requests.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=30).status_code

    def batch(self, batch_id: str) -> Batch | None:
        return next((batch for batch in self.batches.recent(10) if batch.batch_id == batch_id), None)

    def final(self, batch_id: str) -> Batch:
        until(lambda: (found := self.batch(batch_id)) is not None and found.final, 90)
        return self.batches.get(batch_id)

    def keys(self, prefix: str) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.told["data_bucket"], Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]

    def rows(self, keys: list[str]) -> list[dict[str, Any]]:
        bodies = [self.s3.get_object(Bucket=self.told["data_bucket"], Key=key)["Body"].read() for key in keys]
        return [row for body in bodies for row in pq.read_table(BytesIO(body)).to_pylist()]


@contextmanager
def up(folder: Path, engine: EngineProcess) -> Iterator[Up]:
    """Ends with SIGTERM, unless it has ended before."""
    command = [sys.executable, "-m", "batchmill", "up", "--json", "--data", str(folder / "data")]
    command += ["--engine", engine.url, "--window", str(WINDOW), "--logs", str(folder / "logs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        running = Up(process, json.loads(process.stdout.readline()))
        try:
            yield running
        finally:
            running.end(signal.SIGTERM)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"latency": {"median_ms": 60, "sigma": 0.2}}))
    command = [sys.executable, "-m", "batchmill.local.engines.scripted", "--port", "{port}", "--script", str(script)]
    engine = EngineProcess(command, tmp_path / "engine.log")
    asyncio.run(engine.start())
    yield engine
    asyncio.run(engine.stop())


def received(engine: EngineProcess) -> Counter[str]:
    stats = requests.get(f"{engine.url.removesuffix('/v1')}/scripted/stats", timeout=10).json()
    return Counter({name: counts["received"] for name, counts in stats["by_marker"].items()})


@pytest.mark.timeout(240)
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_batch_goes_on_in_another_stack_from_what_was_saved(
    tmp_path: Path, engine: EngineProcess, end: signal.Signals
) -> None:
    with up(tmp_path, engine) as first:
        first.s3.put_object(Bucket=first.told["data_bucket"], Key="profiles/embed.yaml", Body=PROFILE.encode())
        before = first.final(first.drop("embed/before.jsonl", rows_jsonl(3, "before")))
        batch_id = first.drop("embed/rows.jsonl", rows_jsonl(ROWS, "row"))
        until(lambda: first.keys(f"batches/{batch_id}/shards/"), 60)
        saved = first.rows(first.keys(f"batches/{batch_id}/shards/"))
        secrets, arns = first.secrets(), first.secret_arns()
        first.end(end)
    assert 1000 <= len(saved) < ROWS
    with up(tmp_path, engine) as second:
        assert (second.secrets(), second.told["api_key"]) == (secrets, first.told["api_key"])
        assert second.secret_arns() == arns
        assert second.ask(first.told["api_key"]) == 200
        batch = second.final(batch_id)
        rows = second.rows(second.keys(ids.results_prefix(batch_id, 0)))
        assert (batch.status, batch.counts.completed, batch.problems) == (BatchStatus.COMPLETED, ROWS, ())
        assert sorted(int(row["id"]) for row in rows) == list(range(ROWS))
        after = second.final(second.drop("embed/after.jsonl", rows_jsonl(3, "after")))
        assert (before.status, after.status) == (BatchStatus.COMPLETED, BatchStatus.COMPLETED)
        assert second.batches.get(before.batch_id).times == before.times
    sent = received(engine)
    assert {sent[f"row-{row['id']}"] for row in saved} == {1}
    assert {sent[f"{tag}-{n}"] for tag in ("before", "after") for n in range(3)} == {1}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and holds(path, secrets)] == [FILE]
    assert (tmp_path / "data" / FILE).stat().st_mode & 0o777 == 0o600


def holds(path: Path, secrets: list[str]) -> bool:
    """Whether a secret stands in a file."""
    body = path.read_bytes()
    return any(secret.encode() in body for secret in secrets)
