"""The peers: each of the loops as a contender, in a fresh process a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.measured import Timing
from benchmarks.workload import BenchFailed, Workload, check, read_answers

_LIMIT_S = 600


@dataclass(frozen=True)
class Peer:
    """One loop. `kind` is one of `loops.LOOPS`."""

    name: str
    what: str
    kind: str
    url: str
    window: int

    def run(self, workload: Workload, folder: Path) -> Timing:
        """Run the loop over the file. Raises BenchFailed."""
        output = folder / "answers.jsonl"
        command = [sys.executable, "-m", "benchmarks.loops", self.kind, "--url", self.url]
        command += ["--input", str(workload.path), "--output", str(output), "--window", str(self.window)]
        direct = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        done = subprocess.run(command, env=direct, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        if done.returncode:
            raise BenchFailed(f"{self.name} ended with {done.returncode}: {done.stderr[-2000:]}")
        check(self.name, read_answers(output), workload)
        return Timing(**json.loads(done.stdout))


def peers(url: str, window: int) -> list[Peer]:
    """Both, at an engine's URL (with `/v1`)."""
    openai = f"openai {version('openai')}, its default client, a semaphore, JSONL"
    bare = f"aiohttp {version('aiohttp')}, a semaphore, JSONL: the floor"
    return [
        Peer("AsyncOpenAI loop", openai, "openai", url, window),
        Peer("aiohttp loop", bare, "aiohttp", url, window),
    ]
