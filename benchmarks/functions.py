"""How long each function's handler takes to import, against bare boto3 with one client; `make bench-functions`.

Every number is the median of fresh processes, each measured against one of the peer right before it, on the Python of
the functions and with the folders that `make build` left for this machine. What Lambda adds (unpacking, its own
runtime) is in neither.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from building import artifacts, importing, interpreter
from building.artifacts import Artifact

PROJECT = Path(__file__).parents[1]
OUTPUT = PROJECT / "out/bench/functions.json"
PEER = "boto3 with one client (S3)"
AIM = 1.15
ROUNDS = 9

BARE = """
import json, sys, time
sys.path.insert(0, json.loads(sys.argv[1]))
began = time.perf_counter()
import boto3
boto3.client("s3", region_name="us-east-1")
print(time.perf_counter() - began)
"""


def main() -> int:
    """Exit status: 0, or 1 where there is nothing to measure. An aim that is missed is a number, not a failure."""
    python = interpreter.find(os.environ)
    folder = next((path for path in (PROJECT / ".aws-sam/host", PROJECT / ".aws-sam/build") if path.is_dir()), None)
    if python is None or folder is None:
        sys.stdout.write(f"bench-functions needs {interpreter.NAME} and what `make build` leaves\n")
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        runtime = compiled_runtime(python, Path(scratch))
        rows = measured(python, artifacts.read(folder), runtime)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(rows, indent=2) + "\n")
    for row in rows:
        sys.stdout.write(f"  {row['name']:44} {row['value']:8} {row['unit']}\n")
    return 0


def compiled_runtime(python: Path, scratch: Path) -> Path:
    """boto3 and what it needs, compiled as it is in Lambda's runtime."""
    links = importing.runtime_packages(scratch / "links")
    copy = scratch / "runtime"
    shutil.copytree(links, copy, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([str(python), "-m", compileall.__name__, "-q", str(copy)], check=False, capture_output=True)
    return copy


def measured(python: Path, built: list[Artifact], runtime: Path) -> list[dict[str, object]]:
    """The rows of the report: the peer, then of each function its import, and its import with all its clients."""
    peers: list[float] = []
    alone: dict[str, list[float]] = {artifact.name: [] for artifact in built}
    whole: dict[str, list[float]] = {artifact.name: [] for artifact in built}
    for _ in range(ROUNDS):
        for artifact in built:
            [bare] = importing.run(python, BARE, json.dumps(str(runtime)), importing.ENVIRONMENT, PEER)
            took = importing.start(python, artifact, runtime)
            peers.append(bare)
            alone[artifact.name].append(took.imported / bare)
            whole[artifact.name].append(took.made / bare)
    rows = [row(PEER, statistics.median(peers), "s", None)]
    for name in alone:
        rows.append(row(f"{name}: import", statistics.median(alone[name]), "times the peer", AIM))
        rows.append(row(f"{name}: import, with its clients", statistics.median(whole[name]), "times the peer", None))
    return rows


def row(name: str, value: float, unit: str, aim: float | None) -> dict[str, object]:
    """One number as every report of out/bench has it; `holds` is null where nothing is aimed at."""
    holds = None if aim is None else value <= aim
    return {"name": name, "value": round(value, 3), "unit": unit, "peer": PEER, "aim": aim, "holds": holds}


if __name__ == "__main__":
    sys.exit(main())
