"""What becomes of a build before it is deployed: what only people's machines use goes, the rest is compiled.

A layer is read-only on Lambda, so that without bytecode every cold start would compile all that it imports again.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from building.artifacts import Artifact

NEVER_IMPORTED = ("local", "commands", "cli.py", "__main__.py", "client.py", "console.py")
"""Of batchmill: all that stands above `bootstrap` in the import directions, so that no function and no worker can."""

NEVER_LOADED = ("yaml/_yaml*.so", "jsonschema/tests", "jsonschema/benchmarks")
"""Of the packages beside it: libyaml's binding, for batchmill asks for the loader in Python, and others' own tests."""

# Checked against nothing: a file's time does not outlive its way through a zip file and a layer.
_COMPILE = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")


def trim(built: list[Artifact]) -> None:
    """Remove from every layer what production never imports."""
    for layer in _layers(built):
        packages = layer / "python"
        for pattern in (*(f"batchmill/{name}" for name in NEVER_IMPORTED), *NEVER_LOADED):
            for path in list(packages.glob(pattern)):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def compile_all(python: Path, built: list[Artifact]) -> None:
    """Bytecode beside each module of the functions and their layers. Raises SystemExit with what does not compile."""
    places = dict.fromkeys(_layers(built), "/opt") | {artifact.code: "/var/task" for artifact in built}
    for folder, place in places.items():
        # The names in it are those that the modules have on Lambda, not here.
        command = [str(python), *_COMPILE, "-s", str(folder), "-p", place, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"not all of {folder} compiles:\n{done.stdout}{done.stderr}")


def _layers(built: list[Artifact]) -> set[Path]:
    return {layer for artifact in built for layer in artifact.layers}
