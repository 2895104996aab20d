"""What the state machine's file says, read without running it: slips that a deployment would only show late."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from batchmill.domain import errors
from statemachine.scripted import DEFINITION

MACHINE: dict[str, Any] = json.loads(DEFINITION.read_text())

# What both AWS and the embedded interpreter run, of what the machine may want. Widen it only after probing.
RESOURCES = {
    "arn:aws:states:::lambda:invoke",
    "arn:aws:states:::lambda:invoke.waitForTaskToken",
    "arn:aws:states:::s3:getObject",
}
STATE_TYPES = {"Task", "Map", "Choice", "Pass", "Wait", "Succeed", "Fail"}

Graph = dict[str, Any]


def graphs(machine: Graph = MACHINE, name: str = "batch") -> Iterator[tuple[str, Graph]]:
    """The machine and, under their map's name, the machines of its children."""
    yield name, machine
    for key, state in machine["States"].items():
        if "ItemProcessor" in state:
            yield from graphs(state["ItemProcessor"], key)


GRAPHS = dict(graphs())
STATES = {name: state for graph in GRAPHS.values() for name, state in graph["States"].items()}
CHILDREN = {name: graph for name, graph in GRAPHS.items() if name != "batch"}
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}


def targets(state: dict[str, Any]) -> list[str]:
    """The states that may follow."""
    choices = [choice["Next"] for choice in state.get("Choices", [])]
    catches = [catch["Next"] for catch in state.get("Catch", [])]
    return [*choices, *catches, *(state[key] for key in ("Next", "Default") if key in state)]


def strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value, names of fields included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_state_that_is_named_exists_and_every_state_is_reached(name: str) -> None:
    states = GRAPHS[name]["States"]
    reached, open_ends = set(), [GRAPHS[name]["StartAt"]]
    while open_ends:
        current = open_ends.pop()
        assert current in states, f"{name}: no state {current}"
        if current not in reached:
            reached.add(current)
            open_ends += targets(states[current])
    assert reached == set(states)


def test_names_are_used_once_over_all_levels() -> None:
    assert len(STATES) == sum(len(graph["States"]) for graph in GRAPHS.values())


@pytest.mark.parametrize("name", CHILDREN)
def test_every_child_ends_in_a_pass_that_returns_nothing(name: str) -> None:
    ends = [state for state in CHILDREN[name]["States"].values() if not targets(state)]
    assert ends
    for state in ends:
        assert (state["Type"], state["Result"], state["End"]) == ("Pass", {}, True)


@pytest.mark.parametrize("name", CHILDREN)
def test_maps_run_standard_children_over_a_list_in_s3_and_keep_none_of_their_output(name: str) -> None:
    state = STATES[name]
    assert state["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert state["ItemReader"]["ReaderConfig"] == {"InputType": "JSON"}
    assert state["ResultPath"] is None
    assert state["ItemSelector"]["shard.$"] == "$$.Map.Item.Value"
    # A whole number is refused by the embedded interpreter, and less than all would stop the other shards.
    assert isinstance(state["ToleratedFailurePercentage"], float)
    assert state["ToleratedFailurePercentage"] == 100.0


@pytest.mark.parametrize("name", STATES)
def test_no_catch_leads_back_to_its_own_state(name: str) -> None:
    assert name not in [catch["Next"] for catch in STATES[name].get("Catch", [])]


@pytest.mark.parametrize("name", STATES)
def test_only_what_both_interpreters_run_is_used(name: str) -> None:
    state = STATES[name]
    assert state["Type"] in STATE_TYPES
    assert {text for text in strings(state) if text.startswith("arn:")} <= RESOURCES
    assert not {"QueryLanguage", "ItemBatcher", "ResultWriter", "HeartbeatSeconds"} & set(state)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_retries_what_is_no_fault_of_the_batch_and_jitters(name: str) -> None:
    first = next(rule for rule in TASKS[name]["Retry"] if rule["MaxAttempts"])
    lambdas_own = {"ServiceException", "AWSLambdaException", "SdkClientException", "TooManyRequestsException"}
    assert {f"Lambda.{error}" for error in lambdas_own} <= set(first["ErrorEquals"])
    assert errors.Transient.__name__ in first["ErrorEquals"]
    assert first["JitterStrategy"] == "FULL"
    assert first["BackoffRate"] > 1


def test_every_error_name_is_a_class_of_ours_or_a_services() -> None:
    named = {
        error
        for state in STATES.values()
        for rule in (*state.get("Retry", []), *state.get("Catch", []))
        for error in rule["ErrorEquals"]
        if not error.startswith(("States.", "Lambda."))
    }
    assert {error for error in named if not hasattr(errors, error)} == set()
    assert {"Rerouted", "Cancelled", "DeadlineExceeded"} <= named


def test_everything_before_close_leads_to_close() -> None:
    for name in ("Plan", "Admit", "Shards"):
        assert [(c["ErrorEquals"], c["Next"]) for c in MACHINE["States"][name]["Catch"]] == [(["States.ALL"], "Close")]


def test_placeholders_stand_inside_strings_only() -> None:
    in_text = re.findall(r"\$\{\w+\}", DEFINITION.read_text())
    in_strings = [found for text in strings(MACHINE) for found in re.findall(r"\$\{\w+\}", text)]
    assert sorted(in_text) == sorted(in_strings)
    assert in_text
