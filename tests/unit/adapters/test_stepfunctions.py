"""What StepFunctionsWorkflow does with Step Functions' refusals."""

from __future__ import annotations

import logging

import pytest

from batchmill.adapters.stepfunctions import StepFunctionsWorkflow
from batchmill.domain.errors import Gone, Transient
from fakes.stubbed import answer, refuse, stubbed

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:machine"


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_every_way_of_saying_that_a_token_is_stale_is_ignored(code: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "batchmill.adapters.stepfunctions")
    client, stubber = stubbed("stepfunctions")
    refuse(stubber, "send_task_success", code)
    refuse(stubber, "send_task_failure", code)
    workflow = StepFunctionsWorkflow(client, ARN)
    workflow.succeed("a-secret-token")
    workflow.fail("a-secret-token", "Rerouted", "why")
    stubber.assert_no_pending_responses()
    assert code in caplog.text
    assert "secret" not in caplog.text


def test_errors_and_causes_are_cut_to_what_step_functions_takes() -> None:
    client, stubber = stubbed("stepfunctions")
    answer(stubber, "send_task_failure", {}, {"taskToken": "t", "error": "e" * 256, "cause": "c" * 32_768})
    StepFunctionsWorkflow(client, ARN).fail("t", "e" * 300, "c" * 40_000)
    stubber.assert_no_pending_responses()


def test_other_refusals_are_told() -> None:
    client, stubber = stubbed("stepfunctions")
    workflow = StepFunctionsWorkflow(client, ARN)
    refuse(stubber, "start_execution", "StateMachineDoesNotExist")
    with pytest.raises(Gone, match="machine"):
        workflow.start("batch_1", {})
    refuse(stubber, "send_task_success", "ThrottlingException")
    with pytest.raises(Transient):
        workflow.succeed("t")
