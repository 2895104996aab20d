"""One word a step: a declared table against the tree. A step that is added or renamed is added or renamed here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from architecture.tree import PACKAGE, PROJECT
from batchmill.local.translate import read_template


@dataclass(frozen=True)
class Step:
    """What a step has beside its module and its unit test."""

    function: bool = True
    state: bool = True


STEPS = {
    "intake": Step(state=False),
    "plan": Step(),
    "admit": Step(),
    "dispatch": Step(),
    "work": Step(function=False, state=False),  # the worker's
    "land": Step(),
    "close": Step(),
    "complete": Step(),
    "resume": Step(state=False),
    "sweep": Step(state=False),
    "cancel": Step(state=False),
    "pause": Step(state=False),  # and resuming a paused batch: the step resume is another's
    "notify": Step(state=False),
    "api": Step(state=False),  # the HTTP front's: one step for all its routes
    "authorize": Step(state=False),
}
WITH_FUNCTION = {name for name, step in STEPS.items() if step.function}
WITH_STATE = {name for name, step in STEPS.items() if step.state}


def stems(folder: str, pattern: str) -> set[str]:
    """Names, without their endings, of the files in a folder."""
    return {path.stem for path in (PROJECT / folder).glob(pattern)} - {"__init__", "conftest"}


def tasks(machine: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each task of the state machine, children's too, with the placeholder that it invokes."""
    for name, state in machine["States"].items():
        if state["Type"] == "Task":
            yield name, state["Parameters"]["FunctionName"]
        yield from tasks(state["ItemProcessor"]) if "ItemProcessor" in state else ()


def test_every_step_is_a_module_of_steps() -> None:
    assert stems("layers/core/batchmill/steps", "*.py") == set(STEPS)
    assert (PACKAGE / "steps").is_dir()


def test_every_step_of_lambdas_is_a_file_of_functions() -> None:
    assert stems("functions", "*.py") == WITH_FUNCTION


def test_every_step_of_lambdas_is_a_function_of_the_template() -> None:
    resources = read_template(PROJECT / "template.yaml")["Resources"]
    functions = {
        name: resource["Properties"]["Handler"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert functions == {f"{name.capitalize()}Function": f"{name}.handler" for name in WITH_FUNCTION}


def test_every_step_of_the_state_machine_is_a_state_that_invokes_its_function() -> None:
    machine = json.loads((PROJECT / "statemachines/batch.asl.json").read_text())
    wanted = {name.capitalize(): f"${{{name.capitalize()}FunctionArn}}" for name in WITH_STATE}
    # Land once more, without reading what it has failed to read too often.
    assert dict(tasks(machine)) == {**wanted, "LandLast": wanted["Land"]}


def test_every_step_of_lambdas_has_a_sample_event() -> None:
    assert stems("events", "*.json") == WITH_FUNCTION


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_a_unit_test_of_its_name(name: str) -> None:
    assert (PROJECT / f"tests/unit/steps/test_{name}.py").is_file()
