"""That the worker's image holds what the worker imports, as it was tested, and is built from what is sent."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from batchmill.local import blocking
from batchmill.local.kinds.functions import BLOCKED
from template.reading import BUILD, POOL, PROJECT, ROOT
from template.test_locks import RUN, normal, pins

WORKERS = PROJECT / "workers"
WORKER, WEIGHTS = pins(WORKERS / "worker.txt"), pins(WORKERS / "weights.txt")
DOCKERFILE = (WORKERS / "Dockerfile").read_text()

COMPOSED = """
import asyncio, runpy, sys
worker = runpy.run_path(sys.argv[1], run_name="worker")

async def compose():
    engine = worker["AiohttpEngine"]("http://127.0.0.1:9/v1")
    worker["bootstrap"].work(engine)
    await engine.close()

asyncio.run(compose())
worker["worker_logging"]()
"""
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "BATCHMILL_TABLE": "table",
    "BATCHMILL_DATA_BUCKET": "data",
    "BATCHMILL_POOLS": json.dumps(
        {"default": {"queue_url": "http://queue", "model": "m", "revision": "r", "quantization": "none"}}
    ),
}


@cache
def modules_beside(lock: frozenset[str]) -> str:
    """The modules of this environment that a lock's packages do not have, as the embedded stack refuses them."""
    found = packages_distributions()
    return ",".join(sorted(module for module, owners in found.items() if not {normal(o) for o in owners} & lock))


@pytest.mark.parametrize("name", ["worker.txt", "weights.txt"])
def test_the_image_has_the_versions_that_were_tested(name: str) -> None:
    pinned = pins(WORKERS / name)
    assert pinned
    assert {package: RUN.get(package) for package in pinned} == pinned


def test_the_worker_comes_up_with_the_packages_of_its_lock_alone() -> None:
    refusal = str(Path(next(iter(blocking.__path__))))
    path = os.pathsep.join([refusal, str(PROJECT / "layers/core")])
    blocked = modules_beside(frozenset(WORKER))
    assert {"moto", "duckdb", "numpy"} <= set(blocked.split(","))
    done = subprocess.run(
        [sys.executable, "-c", COMPOSED, str(WORKERS / "ecs.py")],
        env={**ENVIRONMENT, "PYTHONPATH": path, "PATH": os.defpath, BLOCKED: blocked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_brings_the_weights_imports_packages_of_its_lock_alone() -> None:
    tree = ast.parse((WORKERS / "weights.py").read_text())
    roots = {
        node.module.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }
    roots |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    typing_only = {"mypy_boto3_s3"}
    outside = roots - sys.stdlib_module_names - typing_only
    owners = {module: {normal(owner) for owner in packages_distributions()[module]} for module in outside}
    assert all(found & set(WEIGHTS) for found in owners.values())
    assert set(owners) == {"boto3", "huggingface_hub", "httpx2"}


def test_what_the_image_is_built_from_is_what_is_sent() -> None:
    recipe = (WORKERS / "Makefile").read_text()
    [sent] = re.findall(r'cp (.+) "\$\(ARTIFACTS_DIR\)"', recipe)
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    script = (WORKERS / "build.sh").read_text()
    run = set(re.findall(r"\$here/([\w.]+)", script))
    assert {"Dockerfile", "build.sh", *copied, *run} == set(sent.split())
    assert "build-WorkerSource:" in recipe
    assert ROOT.resources["WorkerSource"]["Metadata"] == {"BuildMethod": "makefile"}


def test_the_package_comes_from_the_layer_that_the_functions_have() -> None:
    assert re.findall(r"^COPY --from=(\w+) (\S+)", DOCKERFILE, re.MULTILINE) == [("core", "batchmill")]
    assert '--build-context "core=$core/python"' in (WORKERS / "build.sh").read_text()
    assert ROOT.of("Serverless::LayerVersion")["CoreLayer"]["ContentUri"] == "layers/core"
    assert (PROJECT / "layers/core/batchmill").is_dir()


def test_no_function_has_the_sources_of_the_image_as_a_layer() -> None:
    layers = [function.get("Layers", []) for function in ROOT.functions().values()]
    assert not [found for found in layers if {"Ref": "WorkerSource"} in found]
    assert ROOT.of("Serverless::LayerVersion")["WorkerSource"]["RetentionPolicy"] == "Delete"


def test_the_task_definition_starts_what_is_in_the_image() -> None:
    [task] = POOL.of("ECS::TaskDefinition").values()
    [container] = task["ContainerDefinitions"]
    assert json.loads(re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)[0]) == container["Command"]
    assert f"COPY ecs.py {Path(container['Command'][1]).parent}/" in DOCKERFILE


def test_the_image_is_built_on_the_engine_that_the_parameter_names() -> None:
    [default] = re.findall(r"^ARG ENGINE_IMAGE=(\S+)", DOCKERFILE, re.MULTILINE)
    assert ROOT.document["Parameters"]["EngineImage"]["Default"] == default
    [project] = BUILD.of("CodeBuild::Project").values()
    assert {"Name": "ENGINE_IMAGE", "Value": {"Ref": "EngineImage"}} in project["Environment"]["EnvironmentVariables"]
