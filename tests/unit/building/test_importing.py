"""That a built handler is imported from its own folders and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from building import importing, interpreter
from building.artifacts import Artifact

PYTHON = Path(sys.executable).resolve()


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    code, layer = tmp_path / "code", tmp_path / "layer"
    code.mkdir()
    (layer / "python").mkdir(parents=True)
    (layer / "python/shared.py").write_text("")
    (code / "step.py").write_text("import shared\n\ndef handler(event, context):\n    return event\n")
    return Artifact("StepFunction", "step.handler", code, (layer,))


def test_a_handler_finds_its_layers(artifact: Artifact, tmp_path: Path) -> None:
    assert importing.start(PYTHON, artifact, tmp_path).imported > 0


def test_importing_leaves_nothing_in_what_is_deployed(artifact: Artifact, tmp_path: Path) -> None:
    importing.start(PYTHON, artifact, tmp_path)
    assert list(tmp_path.rglob("__pycache__")) == []


def test_a_handler_does_not_find_what_is_installed_here(artifact: Artifact, tmp_path: Path) -> None:
    (artifact.code / "step.py").write_text("import pydantic\n")
    with pytest.raises(ImportError, match=r"StepFunction.*No module named 'pydantic'"):
        importing.start(PYTHON, artifact, tmp_path)


def test_a_step_that_cannot_be_made_is_an_error(artifact: Artifact, tmp_path: Path) -> None:
    package = artifact.layers[0] / "python/batchmill"
    package.mkdir()
    (package / "bootstrap.py").write_text("def step():\n    import pyarrow\n")
    (artifact.code / "step.py").write_text("from batchmill import bootstrap\n\ndef handler(event, context): ...\n")
    with pytest.raises(ImportError, match=r"StepFunction.*No module named 'pyarrow'"):
        importing.start(PYTHON, artifact, tmp_path)


def test_a_module_without_a_handler_is_an_error(artifact: Artifact, tmp_path: Path) -> None:
    (artifact.code / "step.py").write_text("")
    with pytest.raises(ImportError, match="StepFunction"):
        importing.start(PYTHON, artifact, tmp_path)


def test_the_runtimes_packages_are_all_there_and_no_others(tmp_path: Path) -> None:
    folder = importing.runtime_packages(tmp_path / "runtime")
    assert {path.stem for path in folder.iterdir()} == set(importing.RUNTIME_HAS)


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_python_on_the_path_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    script(tmp_path / "broken" / interpreter.NAME, "exit 127")
    good = script(tmp_path / "good" / interpreter.NAME, "exit 0")
    found = interpreter.find({"PATH": f"{tmp_path / 'broken'}:{tmp_path / 'good'}", "HOME": str(tmp_path)})
    assert found == good


def test_a_pyenv_version_serves_and_its_shim_does_not(tmp_path: Path) -> None:
    script(tmp_path / ".pyenv/shims" / interpreter.NAME, "exit 0")
    version = script(tmp_path / ".pyenv/versions/3.13.2/bin" / interpreter.NAME, "exit 0")
    assert interpreter.find({"PATH": str(tmp_path / ".pyenv/shims"), "HOME": str(tmp_path)}) == version


def test_where_there_is_no_such_python_none_is_found(tmp_path: Path) -> None:
    assert interpreter.find({"PATH": str(tmp_path), "HOME": str(tmp_path)}) is None
