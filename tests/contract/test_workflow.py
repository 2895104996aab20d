"""What every workflow owes intake, dispatch, resume and sweep."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from batchmill.adapters.aws_clients import stepfunctions_client
from batchmill.adapters.stepfunctions import StepFunctionsWorkflow
from batchmill.ports.workflow import Workflow
from fakes.workflow import MemoryWorkflow
from support.waiting import until

MACHINE = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}


@dataclass(frozen=True)
class Case:
    workflow: Workflow
    executions: Callable[[], dict[str, object]]
    end: Callable[[str], object]


@pytest.fixture(params=["fake", "step functions"])
def case(request: pytest.FixtureRequest) -> Case:
    if request.param == "fake":
        fake = MemoryWorkflow()
        return Case(fake, lambda: dict(fake.executions), fake.end)
    request.getfixturevalue("aws")
    sfn = stepfunctions_client()
    role = "arn:aws:iam::123456789012:role/machine"
    arn = sfn.create_state_machine(name="machine", definition=json.dumps(MACHINE), roleArn=role)["stateMachineArn"]
    execution = arn.replace(":stateMachine:", ":execution:")

    def executions() -> dict[str, object]:
        found = sfn.list_executions(stateMachineArn=arn)["executions"]
        inputs = {each["name"]: sfn.describe_execution(executionArn=each["executionArn"])["input"] for each in found}
        return {name: json.loads(text) for name, text in inputs.items()}

    def stop(name: str) -> None:
        sfn.stop_execution(executionArn=f"{execution}:{name}")
        until(lambda: sfn.describe_execution(executionArn=f"{execution}:{name}")["status"] != "RUNNING")

    return Case(
        StepFunctionsWorkflow(sfn, arn),
        executions,
        stop,
    )


def test_an_execution_starts_with_its_payload(case: Case) -> None:
    assert case.workflow.start("batch_1", {"batch_id": "batch_1", "run": 0}) is True
    assert case.executions() == {"batch_1": {"batch_id": "batch_1", "run": 0}}


def test_a_second_start_of_a_name_is_no_second_execution(case: Case) -> None:
    case.workflow.start("batch_1", {"run": 0})
    case.workflow.start("batch_1", {"run": 0})
    assert case.workflow.start("batch_1", {"run": 1}) is False
    assert case.executions() == {"batch_1": {"run": 0}}


def test_the_name_of_an_execution_that_ended_is_taken(case: Case) -> None:
    case.workflow.start("batch_1", {"run": 0})
    case.end("batch_1")
    assert case.workflow.start("batch_1", {"run": 0}) is False


def test_a_token_that_nobody_waits_for_is_ignored(case: Case) -> None:
    case.workflow.succeed("no-such-token")
    case.workflow.fail("no-such-token", "Rerouted", "the pool has no capacity")
    assert case.executions() == {}


def test_the_fake_answers_a_waiting_token_once() -> None:
    workflow = MemoryWorkflow()
    workflow.wait("token")
    workflow.fail("token", "Cancelled", "why")
    workflow.succeed("token")
    assert workflow.answers["token"].error == "Cancelled"
    assert [token for token, _ in workflow.stale] == ["token"]
