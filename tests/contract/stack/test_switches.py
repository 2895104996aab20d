"""moto as the embedded stack switches it on: nothing of it may answer for AWS that would not do what AWS does."""

import os

from batchmill.local.moto_app import SERVICES
from batchmill.local.router import Router
from contract.stack.stack_support import FakeLambda, Machines


def test_executions_are_really_run_and_call_back_at_the_routers_own_port(
    router: Router, functions: FakeLambda, machines: Machines
) -> None:
    assert os.environ["MOTO_PORT"] == str(router.port)
    functions.functions["echo"] = lambda event: event
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": functions.arn("echo"), "Payload": {"x": 1}},
        "End": True,
    }
    ended = machines.run({"StartAt": "Echo", "States": {"Echo": task}})
    assert ended["status"] == "SUCCEEDED"
    assert functions.calls[-1] == ("echo", {"x": 1})


def test_motos_own_lambda_is_not_served_so_its_event_source_mappings_cannot_eat_messages() -> None:
    assert "lambda" not in SERVICES
