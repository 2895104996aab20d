"""The engine that everybody drives: the scripted one, as a process of its own, of constant latency and no faults."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batchmill.adapters.engine_process import EngineProcess
from batchmill.local.engines.script import Latency, Script
from benchmarks import machine


class SimulatedEngine:
    """A running scripted engine, looked at from outside."""

    def __init__(self, url: str, pid: int) -> None:
        """`pid`: of the process that answers, or of one that it descends from."""
        self.url = url
        self._pids = machine.family(pid)

    def received(self) -> int:
        """Requests since it started."""
        return int(self._stats()["totals"].get("received", 0))

    def peak_in_flight(self) -> int:
        """The most requests that it had at one time since it started."""
        return int(self._stats()["peak_in_flight"])

    def cpu_seconds(self) -> float | None:
        """Its processor time since it started; None where the system does not say."""
        known = [seconds for pid in self._pids if (seconds := machine.cpu_seconds(pid)) is not None]
        return sum(known) if known else None

    def _stats(self) -> dict[str, Any]:
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port)
        try:
            connection.request("GET", "/scripted/stats")
            stats: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return stats


@contextmanager
def simulated_engine(latency_ms: float, folder: Path) -> Iterator[SimulatedEngine]:
    """Starts it, and ends it. Raises EngineStartFailed."""
    script = folder / "script.json"
    script.write_text(Script(latency=Latency(median_ms=latency_ms)).model_dump_json())
    command = ["-m", "batchmill.local.engines.scripted", "--port", "{port}", "--script", str(script)]
    process = EngineProcess([sys.executable, *command], folder / "engine.log", start_limit_s=60.0)
    asyncio.run(process.start())
    try:
        yield SimulatedEngine(process.url, process.pid or 0)
    finally:
        asyncio.run(process.stop(grace_s=5.0))
