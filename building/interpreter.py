"""Finds the Python that the functions run on: `sam build` wants it on the PATH, under its own name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

NAME = "python3.13"


def find(environment: Mapping[str, str]) -> Path | None:
    """The first `python3.13` that runs: on the PATH, or of a pyenv version (pyenv's shims alone do not serve)."""
    for candidate in _candidates(environment):
        if candidate.is_file() and _runs(candidate):
            return candidate
    return None


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    for folder in environment.get("PATH", "").split(os.pathsep):
        # A shim runs where its version is the chosen one, but starts another program by name each time.
        if folder and "shims" not in Path(folder).parts:
            yield Path(folder) / NAME
    root = environment.get("PYENV_ROOT") or str(Path(environment.get("HOME", "/")) / ".pyenv")
    for version in sorted(Path(root).glob("versions/3.13*"), reverse=True):
        yield version / "bin" / NAME


def _runs(python: Path) -> bool:
    asked = [str(python), "-c", "import sys; raise SystemExit(sys.version_info[:2] != (3, 13))"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0
