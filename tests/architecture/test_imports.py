"""That imports point one way, that libraries stay at the edges, and that no module reads the environment on import.

The directions inside the package are import-linter's contracts, in pyproject.toml; they run here too.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from architecture.tree import CORE, PACKAGE, PROJECT, imported, modules, parsed, run_at_import, shown

SOURCES = [path for path in modules() if "tests" not in path.parts]
IN_PACKAGE = [path for path in SOURCES if path.is_relative_to(PACKAGE)]
EDGES = ("adapters", "local")
AT_IMPORT = {"sitecustomize.py"}  # Python itself imports it, so that is when it must look
EDGE_LIBRARIES = {"boto3", "botocore", "pyarrow", "aiohttp"}


def part(path: Path) -> str:
    """The part of the package that a module is in: a subpackage, or its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_the_contracts_of_import_linter_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(CORE)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [path for path in IN_PACKAGE if part(path) not in EDGES], ids=shown)
def test_boto3_pyarrow_and_aiohttp_are_imported_by_adapters_and_the_embedded_stack_alone(path: Path) -> None:
    assert not EDGE_LIBRARIES & {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", [path for path in IN_PACKAGE if part(path) == "domain"], ids=shown)
def test_the_domain_imports_the_standard_library_and_itself(path: Path) -> None:
    roots = {name.partition(".")[0] for name in imported(path)}
    assert roots - {"batchmill"} <= sys.stdlib_module_names


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parent == PROJECT / "workers"], ids=shown)
def test_workers_import_nothing_of_the_embedded_stack(path: Path) -> None:
    assert {name for name in imported(path) if name.startswith(("batchmill.local", "batchmill.commands"))} == set()


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name not in AT_IMPORT], ids=shown)
def test_no_module_reads_the_environment_when_it_is_imported(path: Path) -> None:
    read = [node for node in run_at_import(parsed(path)) if _reads_environment(node)]
    assert [f"line {getattr(node, 'lineno', '?')}" for node in read] == []


def _reads_environment(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in {
        "os.environ",
        "os.getenv",
        "os.environb",
        "environ",
        "getenv",
    }
