"""That what is installed is pinned, hashed, and the same everywhere."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest

from template.reading import PROJECT

LOCKS = [*sorted((PROJECT / "locks").glob("*.txt")), *sorted((PROJECT / "workers").glob("*.txt"))]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==([^\s;\\]+)", re.MULTILINE)
HASHED = [path for path in LOCKS if "--hash" in path.read_text()]


def pins(path: Path) -> dict[str, set[str]]:
    """Each package of a requirements file with its versions (there may be one a Python version)."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall(path.read_text()):
        found.setdefault(normal(name), set()).add(version)
    return found


def normal(name: str) -> str:
    """A package's name as packages are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


RUN, DEV = pins(PROJECT / "locks/run.txt"), pins(PROJECT / "locks/dev.txt")


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_host_and_no_place(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if "://" in line or line.startswith(("--index", "--extra", "--find", "-e"))] == []


@pytest.mark.parametrize("path", HASHED, ids=lambda path: path.name)
def test_every_package_of_a_lock_has_hashes(path: Path) -> None:
    logical = path.read_text().replace("\\\n", " ").splitlines()
    packages = [line for line in logical if PIN.match(line)]
    assert packages
    assert [line for line in packages if "--hash=sha256:" not in line] == []


def test_the_locks_that_environments_are_made_from_are_hashed() -> None:
    made = {"run.txt", "dev.txt", "sam.txt", "checkov.txt", "minilm.txt", "vllm.txt", "worker.txt", "weights.txt"}
    assert made <= {path.name for path in HASHED}


def test_the_tests_environment_is_the_users_with_more_in_it() -> None:
    assert {name: DEV.get(name) for name in RUN} == RUN
    assert set(DEV) > set(RUN)


def test_every_dependency_of_the_package_is_locked() -> None:
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {normal(re.split(r"[<>=~!;\[ ]", line, maxsplit=1)[0]) for line in declared}
    assert names <= set(RUN)


@pytest.mark.parametrize("layer", ["core", "arrow"])
def test_a_layer_holds_the_versions_that_were_tested(layer: str) -> None:
    pinned = pins(PROJECT / f"layers/{layer}/requirements.txt")
    assert pinned
    assert {name: RUN.get(name) for name in pinned} == pinned


def test_the_core_layer_lists_all_that_its_packages_need() -> None:
    pinned = set(pins(PROJECT / "layers/core/requirements.txt"))
    needed = {
        normal(re.split(r"[<>=~!;\[ (]", line, maxsplit=1)[0])
        for name in pinned
        for line in requires(name) or []
        if "extra ==" not in line
    }
    # Lambda's runtime has boto3; nothing is resolved, so the X-Ray SDK brings no second botocore.
    assert needed - pinned == {"botocore"}
