"""`make build`: builds what is deployed, and proves that it can be imported and fits.

First for this machine, to import every handler; then for Lambda's processor, which is what stays in .aws-sam/build for
`sam deploy`. Where the two are the same, once.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from building import artifacts, importing, interpreter, shipping
from building.artifacts import Artifact

PROJECT = Path(__file__).parents[1]
OUT = PROJECT / ".aws-sam"
WITHOUT_ARROW = 25_000_000
"""Bytes, unzipped with layers, that a function without pyarrow may have."""
WITH_ARROW = 250 * 1024 * 1024
"""AWS's own limit."""

MISSING = f"""\
{interpreter.NAME} is not here, and `sam build` needs it: the functions run on it.
Put one on the PATH (of pyenv, a version's bin folder; its shims do not serve), then run this again."""


def main() -> int:
    """Exit status: 0 where all holds, 1 where something is missing, does not import, or is too large."""
    options = argparse.ArgumentParser(prog="python -m building", description=__doc__)
    options.add_argument("--sam", type=Path, default=PROJECT / ".venv-sam/bin/sam")
    options.add_argument("--architecture", choices=("arm64", "x86_64"), default="arm64", help="what is deployed is for")
    options.add_argument("--or-skip", action="store_true", help="do nothing where there is no python3.13")
    asked = options.parse_args()
    python = interpreter.find(os.environ)
    if python is None:
        say(f"skipped: no {interpreter.NAME}" if asked.or_skip else MISSING)
        return 0 if asked.or_skip else 1
    # A build that failed leaves pieces that a later one takes for its own.
    shutil.rmtree(OUT, ignore_errors=True)
    here = this_machine()
    problems: list[str] = []
    for architecture, folder in {here: OUT / "host", asked.architecture: OUT / "build"}.items():
        build(asked.sam, python, architecture, folder)
        built = artifacts.read(folder)
        shipping.trim(built)
        shipping.compile_all(python, built)
        if architecture == here:
            problems += imported(python, built)
        problems += misfits(folder, architecture)
    for artifact in artifacts.read(OUT / "build"):
        say(f"  {artifact.name:20} {artifact.size / 1e6:6.1f} MB unzipped, with its layers")
    for problem in problems:
        say(f"FAILED: {problem}")
    return 1 if problems else 0


def this_machine() -> str:
    """This machine's architecture, as Lambda calls it."""
    return {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


def build(sam: Path, python: Path, architecture: str, folder: Path) -> None:
    """One `sam build` into a folder. Raises SystemExit where it fails, its output shown."""
    say(f"== sam build for {architecture}, to {folder.relative_to(PROJECT)}")
    # The layers' requirements are complete, so nothing beside them is resolved (layers/core says why that matters).
    environment = {
        **os.environ,
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PIP_NO_DEPS": "1",
        "SAM_CLI_TELEMETRY": "0",
    }
    command = [str(sam), "build", "--build-dir", str(folder), "--parameter-overrides", f"Architecture={architecture}"]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        say(done.stdout + done.stderr)
        raise SystemExit(f"sam build for {architecture} failed")


def imported(python: Path, built: list[Artifact]) -> list[str]:
    """Imports every handler and makes its step; what does not work."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        runtime = importing.runtime_packages(Path(folder))
        for artifact in built:
            try:
                took = importing.start(python, artifact, runtime)
                say(f"  {artifact.name:20} imported in {took.imported:.2f} s, its step made in {took.made:.2f} s")
            except ImportError as error:
                problems.append(str(error))
    return problems


def misfits(folder: Path, architecture: str) -> list[str]:
    """What is for another machine, and what is too large."""
    problems = list(artifacts.foreign(folder, architecture))
    for artifact in artifacts.read(folder):
        limit = WITH_ARROW if artifact.has("pyarrow") else WITHOUT_ARROW
        if artifact.size > limit:
            problems.append(f"{artifact.name} has {artifact.size / 1e6:.1f} MB unzipped, over {limit / 1e6:.1f}")
    return problems


def say(line: str) -> None:
    """A line for the terminal."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
