"""The project's files, as a clone has them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[2]
CORE = PROJECT / "layers/core"
PACKAGE = CORE / "batchmill"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files() -> tuple[Path, ...]:
    """Every file that git has or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    found = (PROJECT / name for name in sorted(set(listed.split("\0"))) if name)
    return tuple(path for path in found if path.is_file())


def modules() -> list[Path]:
    """Every Python file of the project."""
    return [path for path in files() if path.suffix == ".py"]


def shown(path: Path) -> str:
    """A path as a test's id."""
    return path.relative_to(PROJECT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(path: Path) -> Iterator[FunctionNode]:
    """Every function and method of a module, nested ones too."""
    return (node for node in ast.walk(parsed(path)) if isinstance(node, FunctionNode))


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: all but the bodies of functions and of the main guard."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode):
            yield from (part for part in (*child.decorator_list, child.args) for part in _with_all(part))
        elif not isinstance(child, ast.Lambda) and not _is_main_guard(child):
            yield child
            yield from run_at_import(child)


def _with_all(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    yield from run_at_import(node)


def _is_main_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def imported(path: Path) -> set[str]:
    """The names of the modules that a module imports anywhere in it, dotted, as written."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found
