"""That functions/ holds no logic, and that each function loads with no more than its layers bring."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from architecture.tree import CORE, PROJECT, imported, modules, parsed, shown

HANDLERS = [path for path in modules() if path.parent == PROJECT / "functions"]
LOGIC = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.TryStar, ast.With, ast.Match, ast.Lambda, ast.Raise)
OURS = {"batchmill", "batchmill.bootstrap", "batchmill.observability"} | {
    f"batchmill.observability.{name}" for name in ("logger", "measure", "observed")
}

# Installed here, but not in a function: neither the core layer nor Lambda's runtime has them.
ABSENT = ["aiohttp", "click", "flask", "moto", "numpy", "rich", "safetensors", "samtranslator", "tokenizers", "uv"]
WITH_ARROW = {"land"}  # plan has the layer too, and loads without it: pyarrow comes with the first Parquet or zstd

LOAD = """
import importlib, json, sys
for name in json.loads(sys.argv[2]):
    sys.modules[name] = None
module = importlib.import_module(sys.argv[1])
assert callable(module.handler)
from batchmill import bootstrap
assert callable(getattr(bootstrap, sys.argv[1])())
"""

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "BATCHMILL_TABLE": "table",
    "BATCHMILL_DATA_BUCKET": "data",
    "BATCHMILL_INPUT_BUCKET": "input",
    "BATCHMILL_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:batch",
    "BATCHMILL_POOLS": "{}",
}


@pytest.mark.parametrize("path", HANDLERS, ids=shown)
def test_a_handler_decides_nothing_and_catches_nothing(path: Path) -> None:
    assert [type(node).__name__ for node in ast.walk(parsed(path)) if isinstance(node, LOGIC)] == []


@pytest.mark.parametrize("path", HANDLERS, ids=shown)
def test_a_handler_reaches_the_package_through_bootstrap_alone(path: Path) -> None:
    assert {name for name in imported(path) if name.startswith("batchmill")} <= OURS


@pytest.mark.parametrize("path", HANDLERS, ids=shown)
def test_a_function_loads_without_what_its_layers_do_not_bring(path: Path) -> None:
    blocked = ABSENT if path.stem in WITH_ARROW else [*ABSENT, "pyarrow"]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": f"{CORE}{os.pathsep}{path.parent}"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, path.stem, json.dumps(blocked)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
