"""What the state machine does with what its functions answer."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from statemachine.scripted import FunctionError, Machine

IDS = {"batch_id": "b1", "run": 0}


def shards(payloads: list[dict[str, Any]]) -> Counter[int]:
    return Counter(payload["shard"]["n"] for payload in payloads)


def raising(error: FunctionError) -> Any:
    def handler(_: dict[str, Any]) -> Any:
        raise error

    return handler


def test_a_batch_whose_shards_all_get_their_parts_is_planned_dispatched_closed_and_completed(
    machine: Machine,
) -> None:
    ended = machine.run()
    assert ended["status"] == "SUCCEEDED"
    assert machine.called("Plan") == [IDS]
    assert machine.called("Admit") == [{**IDS, "shards": {"bucket": "data", "key": "plan/shards.json", "count": 3}}]
    assert shards(machine.called("Dispatch")) == {0: 1, 1: 1, 2: 1}
    assert machine.called("Close") == [{**IDS, "error": None}]
    assert machine.called("Land") == []
    assert machine.called("Complete") == [IDS]


def test_a_plan_that_is_not_done_is_called_again_until_it_is(machine: Machine) -> None:
    def plan(payload: dict[str, Any]) -> dict[str, Any]:
        if len(machine.called("Plan")) < 4:
            return {**payload, "done": False, "shards": None}
        return {**payload, "done": True, "shards": machine.listing("plan/shards.json", 2)}

    machine.on("Plan", plan)
    assert machine.run()["status"] == "SUCCEEDED"
    assert machine.called("Plan") == [IDS] * 4
    assert machine.called("Admit") == [{**IDS, "shards": {"bucket": "data", "key": "plan/shards.json", "count": 2}}]
    assert shards(machine.called("Dispatch")) == {0: 1, 1: 1}


def test_a_plan_that_fails_after_it_has_gone_on_is_closed_with_the_errors_name(machine: Machine) -> None:
    def plan(payload: dict[str, Any]) -> dict[str, Any]:
        if len(machine.called("Plan")) < 3:
            return {**payload, "done": False, "shards": None}
        raise FunctionError("InputTooLarge")

    machine.on("Plan", plan)
    assert machine.run()["status"] == "SUCCEEDED"
    [payload] = machine.called("Close")
    assert payload["error"]["Error"] == "InputTooLarge"
    assert machine.called("Admit") == []


def test_dispatch_is_told_its_token_its_ids_and_its_shard(machine: Machine) -> None:
    machine.run()
    for payload in machine.called("Dispatch"):
        assert set(payload) == {"token", "batch_id", "run", "shard", "entered", "retry"}
        assert datetime.fromisoformat(payload["entered"]).tzinfo is not None
        assert payload["retry"] == 0
        assert set(payload["shard"]) == {"n", "object", "start", "end", "first_line"}


def test_an_execution_that_enters_at_close_plans_and_dispatches_nothing(machine: Machine) -> None:
    machine.on("Close", lambda payload: machine.missing(payload, 2))
    assert machine.run(entry="close")["status"] == "SUCCEEDED"
    assert set(machine.functions.calls) - {"Plan", "Admit", "Dispatch"} == {"Close", "Land", "Complete"}
    assert not machine.called("Plan")
    assert machine.called("Close") == [{**IDS, "error": None}]


def test_shards_without_a_part_are_landed_before_complete(machine: Machine) -> None:
    machine.on("Close", lambda payload: machine.missing(payload, 2))
    seen_by_complete: list[int] = []

    def complete(payload: dict[str, Any]) -> dict[str, Any]:
        seen_by_complete.append(len(machine.called("Land")))
        return payload

    machine.on("Complete", complete)
    machine.run()
    assert shards(machine.called("Land")) == {0: 1, 1: 1}
    assert {frozenset(payload) for payload in machine.called("Land")} == {frozenset({"batch_id", "run", "shard"})}
    assert seen_by_complete == [2]


@pytest.mark.parametrize("function", ["Plan", "Admit"])
def test_a_batch_that_cannot_begin_is_closed_with_the_errors_name(machine: Machine, function: str) -> None:
    machine.on(function, raising(FunctionError("InputInvalid")))
    assert machine.run()["status"] == "SUCCEEDED"
    [payload] = machine.called("Close")
    assert payload["error"]["Error"] == "InputInvalid"
    assert machine.called("Complete") == [IDS]
    assert machine.called("Dispatch") == []


def test_a_list_of_shards_that_is_not_there_is_an_error_for_close(machine: Machine) -> None:
    gone = {"bucket": "data", "key": "nowhere.json", "count": 3}
    machine.on("Plan", lambda payload: {**payload, "done": True, "shards": gone})
    machine.run()
    assert [payload["error"] is None for payload in machine.called("Close")] == [False]
    assert machine.called("Complete") == [IDS]


def test_a_rerouted_shard_is_dispatched_again_with_another_token(machine: Machine) -> None:
    def once(payload: dict[str, Any]) -> dict[str, Any]:
        again = shards(machine.called("Dispatch"))[payload["shard"]["n"]] > 1
        return machine.succeed(payload) if again else machine.fail(payload, "Rerouted")

    machine.on("Dispatch", once)
    assert machine.run()["status"] == "SUCCEEDED"
    assert shards(machine.called("Dispatch")) == {0: 2, 1: 2, 2: 2}
    assert len({payload["token"] for payload in machine.called("Dispatch")}) == 6


@pytest.mark.parametrize("error", ["Cancelled", "DeadlineExceeded", "SpecInvalid"])
def test_a_shard_that_ends_without_a_part_is_left_to_close(machine: Machine, error: str) -> None:
    machine.on("Dispatch", lambda payload: machine.fail(payload, error))
    assert machine.run()["status"] == "SUCCEEDED"
    assert shards(machine.called("Dispatch")) == {0: 1, 1: 1, 2: 1}
    assert machine.called("Close") == [{**IDS, "error": None}]


def test_a_dispatch_that_fails_for_any_other_reason_is_tried_again_and_says_so(machine: Machine) -> None:
    def once(payload: dict[str, Any]) -> dict[str, Any]:
        if payload["retry"] == 0:
            raise FunctionError("Runtime.ExitError")
        return machine.succeed(payload)

    machine.on("Dispatch", once)
    assert machine.run()["status"] == "SUCCEEDED"
    assert shards(machine.called("Dispatch")) == {0: 2, 1: 2, 2: 2}
    assert {payload["retry"] for payload in machine.called("Dispatch")} == {0, 1}


def test_a_dispatch_that_raises_past_the_deadline_is_not_tried_again(machine: Machine) -> None:
    machine.on("Dispatch", raising(FunctionError("DeadlineExceeded")))
    assert machine.run()["status"] == "SUCCEEDED"
    assert shards(machine.called("Dispatch")) == {0: 1, 1: 1, 2: 1}


def test_silent_shards_end_when_their_time_is_up(machine: Machine) -> None:
    machine.on("Admit", lambda payload: {**payload, "seconds_left": 1, "max_concurrency": 10})
    machine.on("Dispatch", lambda _: {})
    machine.on("Close", lambda payload: machine.missing(payload, 3))
    assert machine.run()["status"] == "SUCCEEDED"
    assert shards(machine.called("Land")) == {0: 1, 1: 1, 2: 1}


@pytest.mark.parametrize(
    "error",
    [
        FunctionError("Transient"),
        FunctionError("ServiceException", 500),
        FunctionError("TooManyRequestsException", 429),
    ],
    ids=lambda error: error.name,
)
def test_what_is_no_fault_of_the_batch_is_tried_again(machine: Machine, error: FunctionError) -> None:
    def twice(payload: dict[str, Any]) -> dict[str, Any]:
        if len(machine.called("Complete")) < 2:
            raise error
        return payload

    machine.on("Complete", twice)
    assert machine.run()["status"] == "SUCCEEDED"
    assert machine.called("Complete") == [IDS, IDS]


def test_a_land_that_fails_for_any_reason_is_tried_again(machine: Machine) -> None:
    def twice(payload: dict[str, Any]) -> dict[str, Any]:
        if len(machine.called("Land")) < 2:
            raise FunctionError("Runtime.ExitError")
        return {}

    machine.on("Close", lambda payload: machine.missing(payload, 1))
    machine.on("Land", twice)
    assert machine.run()["status"] == "SUCCEEDED"
    assert shards(machine.called("Land")) == {0: 2}


@pytest.mark.parametrize("function", ["Close", "Complete"])
def test_an_ending_that_fails_fails_the_execution(machine: Machine, function: str) -> None:
    machine.on(function, raising(FunctionError("PartsMissing")))
    ended = machine.run()
    assert (ended["status"], ended["error"]) == ("FAILED", "PartsMissing")


def test_no_more_shards_run_at_a_time_than_admit_says(machine: Machine) -> None:
    waiting: list[int] = []
    answered: list[str] = []

    def serve(payload: dict[str, Any]) -> dict[str, Any]:
        waiting.append(len(machine.called("Dispatch")) - len(answered))
        answered.append(payload["token"])
        return machine.succeed(payload)

    machine.on("Admit", lambda payload: {**payload, "seconds_left": 60, "max_concurrency": 1})
    machine.on("Dispatch", serve)
    assert machine.run()["status"] == "SUCCEEDED"
    assert waiting == [1, 1, 1]


def test_a_hundred_shards_are_each_dispatched_once(machine: Machine) -> None:
    machine.on("Plan", lambda payload: {**payload, "done": True, "shards": machine.listing("plan/shards.json", 100)})
    machine.on("Admit", lambda payload: {**payload, "seconds_left": 60, "max_concurrency": 50})
    assert machine.run()["status"] == "SUCCEEDED"
    assert shards(machine.called("Dispatch")) == dict.fromkeys(range(100), 1)
