"""That everything stays small enough to be read at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from architecture.tree import PROJECT, functions, modules, shown

MODULE_LINES = 300
FUNCTION_LINES = 40
HANDLER_LINES = 40


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_no_module_is_longer_than_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_no_function_is_longer_than_40_lines(path: Path) -> None:
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions(path)}
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", [path for path in modules() if path.parent == PROJECT / "functions"], ids=shown)
def test_no_handler_file_is_longer_than_40_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= HANDLER_LINES
