"""That what is deployed is compiled, and holds nothing that only people's machines use."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from building import shipping
from building.artifacts import Artifact

PROJECT = Path(__file__).parents[3]
PYTHON = Path(sys.executable).resolve()


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """A function with the core layer."""
    package = tmp_path / "layer/python/batchmill"
    for name in ("local/stack.py", "cli.py", "client.py", "steps/plan.py", "bootstrap.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("here = __file__\n")
    (tmp_path / "code").mkdir()
    (tmp_path / "code/plan.py").write_text("def handler(event, context):\n    raise ValueError\n")
    return Artifact("PlanFunction", "plan.handler", tmp_path / "code", (tmp_path / "layer",))


def test_what_goes_is_all_that_stands_above_bootstrap_in_the_import_directions() -> None:
    [directions, *_] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    lines = [{name.strip(" ()") for name in line.split(":")} for line in directions["layers"]]
    above = set().union(*lines[: next(place for place, names in enumerate(lines) if "bootstrap" in names)])
    assert {name.removesuffix(".py") for name in shipping.NEVER_IMPORTED} == above


def test_a_layer_keeps_what_functions_import(artifact: Artifact) -> None:
    shipping.trim([artifact])
    package = artifact.layers[0] / "python/batchmill"
    assert {str(path.relative_to(package)) for path in package.rglob("*.py")} == {"steps/plan.py", "bootstrap.py"}


def test_every_module_of_functions_and_layers_is_compiled(artifact: Artifact) -> None:
    shipping.compile_all(PYTHON, [artifact])
    folders = (artifact.code, *artifact.layers)
    sources = {path.stem for folder in folders for path in folder.rglob("*.py")}
    assert {path.name.partition(".")[0] for folder in folders for path in folder.rglob("*.pyc")} == sources


def test_bytecode_serves_whatever_time_its_module_has_after_unpacking(artifact: Artifact) -> None:
    shipping.compile_all(PYTHON, [artifact])
    (artifact.code / "plan.py").write_text("another = True\n")
    command = [str(PYTHON), "-B", "-c", "import plan; print(plan.handler.__name__)"]
    assert subprocess.run(command, cwd=artifact.code, capture_output=True, text=True, check=True).stdout == "handler\n"


def test_bytecode_names_no_place_of_this_machine(artifact: Artifact, tmp_path: Path) -> None:
    shipping.compile_all(PYTHON, [artifact])
    compiled = [path.read_bytes() for folder in (artifact.code, *artifact.layers) for path in folder.rglob("*.pyc")]
    assert [True for code in compiled if str(tmp_path).encode() in code] == []
    assert any(b"/var/task/plan.py" in code for code in compiled)


def test_a_module_that_does_not_compile_ends_the_build(artifact: Artifact) -> None:
    (artifact.code / "plan.py").write_text("def handler(:\n")
    with pytest.raises(SystemExit, match=r"plan\.py"):
        shipping.compile_all(PYTHON, [artifact])
