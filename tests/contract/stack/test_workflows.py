"""Step Functions: what it refuses, when it stops, and what it tells of itself."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batchmill.local.router import Router
from contract.stack.stack_support import FakeLambda, Inbox, Machines, error_code, rule
from support.waiting import until

PASS = {"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}}
CHANGED = "Step Functions Execution Status Change"


def waiting(functions: FakeLambda, **more: Any) -> dict[str, Any]:
    """A state that waits for its token, which the function `dispatch` is called with."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": functions.arn("dispatch"),
            "Payload": {"token.$": "$$.Task.Token", "input.$": "$"},
        },
        **more,
    }


def then_after(functions: FakeLambda, first: dict[str, Any]) -> dict[str, Any]:
    """A machine of `first` and then a call of the function `after`."""
    after = {"Type": "Task", "Resource": functions.arn("after"), "End": True}
    return {"StartAt": "First", "States": {"First": {**first, "Next": "After"}, "After": after}}


def tokens(functions: FakeLambda, count: int = 1) -> list[str]:
    """Waits until `dispatch` was called so often, and returns the tokens it was given."""
    functions.functions.setdefault("dispatch", lambda event: None)
    functions.functions.setdefault("after", lambda event: None)
    until(lambda: len(_given(functions)) >= count)
    return _given(functions)


def _given(functions: FakeLambda) -> list[str]:
    return [event["token"] for name, event in list(functions.calls) if name == "dispatch"]


@pytest.fixture(autouse=True)
def known(functions: FakeLambda) -> None:
    functions.functions.update(dispatch=lambda event: None, after=lambda event: None)


def refused(call: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**given)
    return error_code(raised.value)


@pytest.mark.parametrize("name", ["x" * 81, "a b", "a/b", "a:b", "ä\u0007", "b*", "c#", "d|e"])
def test_a_name_that_aws_refuses_is_refused(machines: Machines, name: str) -> None:
    machine = machines.create(PASS)
    start = machines.client.start_execution
    assert refused(start, stateMachineArn=machine, name=name, input="{}") == "InvalidName"
    assert machines.client.list_executions(stateMachineArn=machine)["executions"] == []


def test_a_name_of_80_characters_is_taken(machines: Machines) -> None:
    execution = machines.start(machines.create(PASS), name="aZ0-_.ä" + "x" * 73)
    assert machines.wait(execution)["status"] == "SUCCEEDED"


def test_an_input_may_be_256_kibibytes_and_no_more(machines: Machines) -> None:
    machine = machines.create(PASS)
    largest = json.dumps("ü" * (128 * 1024 - 1), ensure_ascii=False)
    start = machines.client.start_execution
    assert start(stateMachineArn=machine, name="largest", input=largest)["executionArn"]
    too_large = json.dumps("x" * (256 * 1024 - 1))
    assert refused(start, stateMachineArn=machine, input=too_large) == "InvalidExecutionInput"
    assert refused(start, stateMachineArn=machine, input="{not json") == "InvalidExecutionInput"


def test_the_name_of_a_closed_execution_is_refused_whatever_its_input(machines: Machines) -> None:
    machine = machines.create(PASS)
    machines.wait(machines.start(machine, {"a": 1}, name="once"))
    for value in ({"a": 1}, {"a": 2}):
        with pytest.raises(ClientError) as raised:
            machines.start(machine, value, name="once")
        assert error_code(raised.value) == "ExecutionAlreadyExists"


def test_the_name_of_an_open_execution_is_the_same_execution_under_the_same_input_only(
    machines: Machines, functions: FakeLambda
) -> None:
    machine = machines.create(then_after(functions, waiting(functions)))
    execution = machines.start(machine, {"a": 1}, name="open")
    assert machines.start(machine, {"a": 1}, name="open") == execution
    with pytest.raises(ClientError) as raised:
        machines.start(machine, {"a": 2}, name="open")
    assert error_code(raised.value) == "ExecutionAlreadyExists"
    machines.client.stop_execution(executionArn=execution)


def test_of_many_starts_under_one_name_one_execution_comes(machines: Machines, functions: FakeLambda) -> None:
    machine = machines.create(then_after(functions, waiting(functions)))
    with ThreadPoolExecutor(8) as pool:
        started = set(pool.map(lambda _: machines.start(machine, name="together"), range(8)))
    assert len(started) == 1
    assert len(machines.client.list_executions(stateMachineArn=machine)["executions"]) == 1
    machines.client.stop_execution(executionArn=started.pop())


def test_stopping_an_execution_that_waits_for_a_token_ends_it(machines: Machines, functions: FakeLambda) -> None:
    retried = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 3}]
    caught = [{"ErrorEquals": ["States.ALL"], "Next": "After"}]
    first = waiting(functions, Retry=retried, Catch=caught)
    execution = machines.start(machines.create(then_after(functions, first)))
    [token] = tokens(functions)
    machines.client.stop_execution(executionArn=execution, error="Stopped", cause="by hand")
    described = machines.client.describe_execution(executionArn=execution)
    assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Stopped", "by hand")
    assert described["stopDate"] >= described["startDate"]
    assert refused(machines.client.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"
    assert refused(machines.client.send_task_failure, taskToken=token, error="E") == "TaskTimedOut"
    assert refused(machines.client.send_task_heartbeat, taskToken=token) == "TaskTimedOut"
    _assert_quiet(machines, functions, execution, calls=1)


def _assert_quiet(machines: Machines, functions: FakeLambda, execution: str, calls: int) -> None:
    """Another execution runs to its end meanwhile; the stopped one has done nothing more, and is still ABORTED."""
    history = machines.client.get_execution_history
    until(lambda: history(executionArn=execution)["events"][-1]["type"] == "ExecutionAborted")
    waits = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 2, "End": True}}}
    assert machines.run(waits)["status"] == "SUCCEEDED"
    assert machines.status(execution) == "ABORTED"
    assert history(executionArn=execution)["events"][-1]["type"] == "ExecutionAborted"
    assert len(functions.calls) == calls


def test_stopping_an_execution_stops_the_children_of_its_map(
    router: Router, machines: Machines, functions: FakeLambda
) -> None:
    inner = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Dispatch",
        "States": {
            "Dispatch": waiting(
                functions,
                Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 3}],
                Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Again"}],
                Next="After",
            ),
            "Again": {"Type": "Pass", "Next": "Dispatch"},
            "After": {"Type": "Task", "Resource": functions.arn("after"), "End": True},
        },
    }
    shards = {"Type": "Map", "MaxConcurrency": 3, "ItemsPath": "$.items", "ItemProcessor": inner}
    execution = machines.start(machines.create(then_after(functions, shards)), {"items": list(range(20))})
    given = tokens(functions, 3)
    machines.client.send_task_success(taskToken=given[0], output="{}")
    given = tokens(functions, 4)
    until(lambda: len(functions.calls) == 5)  # four dispatches, and the first child's `after`
    machines.client.stop_execution(executionArn=execution)
    for token in given:
        assert refused(machines.client.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"
    _assert_quiet(machines, functions, execution, calls=5)


def test_an_execution_stopped_while_its_function_runs_goes_no_further(
    machines: Machines, functions: FakeLambda
) -> None:
    running, release = Event(), Event()

    def slow(event: Any) -> None:
        running.set()
        release.wait(20)

    functions.functions["slow"] = slow
    first = {"Type": "Task", "Resource": functions.arn("slow")}
    execution = machines.start(machines.create(then_after(functions, first)))
    assert running.wait(10)
    machines.client.stop_execution(executionArn=execution)
    assert machines.status(execution) == "ABORTED"
    release.set()
    _assert_quiet(machines, functions, execution, calls=1)


def test_stopping_a_closed_execution_changes_nothing(machines: Machines) -> None:
    execution = machines.start(machines.create(PASS))
    ended = machines.wait(execution)["stopDate"]
    assert machines.client.stop_execution(executionArn=execution)["stopDate"].replace(microsecond=0)
    described = machines.client.describe_execution(executionArn=execution)
    assert (described["status"], described["stopDate"]) == ("SUCCEEDED", ended)


def test_stopping_an_execution_that_is_not_there_is_an_error(machines: Machines) -> None:
    arn = "arn:aws:states:us-east-1:123456789012:execution:no-such:one"
    assert refused(machines.client.stop_execution, executionArn=arn) == "ExecutionDoesNotExist"


def test_a_token_is_answered_once(machines: Machines, functions: FakeLambda) -> None:
    execution = machines.start(machines.create(then_after(functions, waiting(functions))))
    [token] = tokens(functions)
    machines.client.send_task_heartbeat(taskToken=token)
    machines.client.send_task_success(taskToken=token, output='{"n": 1}')
    assert refused(machines.client.send_task_success, taskToken=token, output='{"n": 2}') == "TaskTimedOut"
    assert refused(machines.client.send_task_failure, taskToken=token) == "TaskTimedOut"
    machines.wait(execution)
    assert [event for name, event in functions.calls if name == "after"] == [{"n": 1}]
    assert refused(machines.client.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"


def test_a_token_that_was_never_given_is_invalid(machines: Machines) -> None:
    assert refused(machines.client.send_task_success, taskToken="made up", output="{}") == "InvalidToken"
    assert refused(machines.client.send_task_heartbeat, taskToken="made up") == "InvalidToken"


def test_an_output_that_is_no_json_or_too_large_is_refused(machines: Machines, functions: FakeLambda) -> None:
    execution = machines.start(machines.create(then_after(functions, waiting(functions))))
    [token] = tokens(functions)
    send = machines.client.send_task_success
    assert refused(send, taskToken=token, output="{not json") == "InvalidOutput"
    assert refused(send, taskToken=token, output=json.dumps("x" * 256 * 1024)) == "InvalidOutput"
    send(taskToken=token, output="{}")
    assert machines.wait(execution)["status"] == "SUCCEEDED"


def test_a_token_whose_task_timed_out_is_refused(machines: Machines, functions: FakeLambda) -> None:
    first = waiting(
        functions, TimeoutSecondsPath="$.seconds", Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "After"}]
    )
    execution = machines.start(machines.create(then_after(functions, first)), {"seconds": 1})
    [token] = tokens(functions)
    assert machines.wait(execution)["status"] == "SUCCEEDED"
    assert refused(machines.client.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"
    assert [event["Error"] for name, event in functions.calls if name == "after"] == ["States.Timeout"]


def test_each_retry_of_a_task_has_a_token_of_its_own(machines: Machines, functions: FakeLambda) -> None:
    first = waiting(functions, Retry=[{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 2}])
    execution = machines.start(machines.create(then_after(functions, first)))
    [token] = tokens(functions)
    machines.client.send_task_failure(taskToken=token, error="Again")
    old, new = tokens(functions, 2)
    assert (old, new != old) == (token, True)
    machines.client.send_task_success(taskToken=new, output="{}")
    assert machines.wait(execution)["status"] == "SUCCEEDED"


def test_every_change_of_status_is_told_on_the_default_bus(
    router: Router, machines: Machines, functions: FakeLambda
) -> None:
    inbox = Inbox(router, "changes")
    rule(router, "changes", {"source": ["aws.states"], "detail-type": [CHANGED]}, inbox.arn)
    fails = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Bad", "Cause": "of it"}}}
    slow = {"StartAt": "W", "TimeoutSeconds": 1, "States": {"W": {"Type": "Wait", "Seconds": 5, "End": True}}}
    machine = machines.create(PASS)
    succeeded = machines.start(machine, {"a": 1}, name="told")
    machines.wait(succeeded)
    machines.run(fails)
    machines.run(slow)
    stopped = machines.start(machines.create(then_after(functions, waiting(functions))))
    tokens(functions)
    machines.client.stop_execution(executionArn=stopped, error="Stopped", cause="by hand")
    told: dict[str, list[Any]] = {}
    for event in inbox.expect(8):
        told.setdefault(event["resources"][0], []).append(event["detail"])
    statuses = [[detail["status"] for detail in details] for details in told.values()]
    assert statuses == [["RUNNING", end] for end in ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")]
    first, last = told[succeeded]
    assert (first["stopDate"], first["output"]) == (None, None)
    assert last["stopDate"] >= last["startDate"] == first["startDate"] > 1_500_000_000_000
    assert (last["executionArn"], last["stateMachineArn"], last["name"]) == (succeeded, machine, "told")
    assert (json.loads(last["input"]), json.loads(last["output"])) == ({"a": 1}, {"a": 1})
    failed, aborted = (list(told.values())[number][-1] for number in (1, 3))
    assert (failed["error"], failed["cause"]) == ("Bad", "of it")
    assert (aborted["error"], aborted["cause"]) == ("Stopped", "by hand")
