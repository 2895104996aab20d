"""Imports a built handler as Lambda does: its own Python, its code, its layers, the runtime's boto3, nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from building.artifacts import Artifact

RUNTIME_HAS = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
"""What Lambda's runtime brings itself."""

ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "BATCHMILL_TABLE": "table",
    "BATCHMILL_DATA_BUCKET": "data",
    "BATCHMILL_INPUT_BUCKET": "input",
    "BATCHMILL_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:batch",
    "BATCHMILL_POOLS": "{}",
}

SCRIPT = """
import importlib, json, sys, time
path, module = json.loads(sys.argv[1])
sys.path[:0] = path
began = time.perf_counter()
handler = importlib.import_module(module)
print(time.perf_counter() - began)
assert callable(handler.handler), module
if "batchmill.bootstrap" in sys.modules:
    getattr(sys.modules["batchmill.bootstrap"], module)()
print(time.perf_counter() - began)
"""


@dataclass(frozen=True)
class Took:
    """Seconds of a fresh process: until the handler was imported, and until its step was made, all its clients too."""

    imported: float
    made: float


def runtime_packages(folder: Path) -> Path:
    """A folder with this environment's own copies of what Lambda's runtime has (they are pure Python)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME_HAS:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise ModuleNotFoundError(f"{name}, which Lambda's runtime has, is not installed here")
        origin = Path(found.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        if not (folder / source.name).exists():
            (folder / source.name).symlink_to(source)
    return folder


def start(python: Path, artifact: Artifact, runtime: Path) -> Took:
    """A fresh process imports the handler and makes its step, which has the handler's name in bootstrap.

    Raises ImportError with the process's last words where it does not come up.
    """
    told = json.dumps([[*artifact.path, str(runtime)], artifact.module])
    return Took(*run(python, SCRIPT, told, {**ENVIRONMENT, "LAMBDA_TASK_ROOT": str(artifact.code)}, artifact.name))


def run(python: Path, script: str, argument: str, environment: dict[str, str], name: str) -> list[float]:
    """The numbers that a script prints, run by itself: no site-packages, no variables but those given."""
    # -I and -S: neither PYTHONPATH nor anything that is installed; -B: a layer is read-only in Lambda, too.
    command = [str(python), "-I", "-S", "-B", "-c", script, argument]
    variables = {**environment, "PATH": os.defpath}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImportError(f"{name}: {done.stderr.strip().splitlines()[-1:] or ['no words']}")
    return [float(line) for line in done.stdout.split()]
