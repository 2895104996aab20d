"""The ASL that batchmill keeps to, as the embedded interpreter runs it, and the traps beside it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from batchmill.local.router import Router
from contract.stack.stack_support import FakeLambda, Inbox, Machines, rule
from support.waiting import until

READER = {
    "Resource": "arn:aws:states:::s3:getObject",
    "ReaderConfig": {"InputType": "JSON"},
    "Parameters": {"Bucket.$": "$.shards.bucket", "Key.$": "$.shards.key"},
}
DISTRIBUTED = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
DONE = {"Type": "Pass", "Result": {}, "End": True}


def the_map(states: Mapping[str, Any], start_at: str, **more: Any) -> dict[str, Any]:
    """A Distributed Map over a list in S3, in a machine of its own, that keeps nothing of its children."""
    shards = {
        "Type": "Map",
        "ToleratedFailurePercentage": 100.0,
        "ItemReader": READER,
        "ItemSelector": {
            "batch_id.$": "$.batch_id",
            "seconds_left.$": "$.seconds_left",
            "shard.$": "$$.Map.Item.Value",
        },
        "ItemProcessor": {"ProcessorConfig": DISTRIBUTED, "StartAt": start_at, "States": states},
        "ResultPath": None,
        "End": True,
        **more,
    }
    return {"StartAt": "Shards", "States": {"Shards": shards}}


def dispatch(functions: FakeLambda, **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "TimeoutSecondsPath": "$.seconds_left",
        "Parameters": {
            "FunctionName": functions.arn("dispatch"),
            "Payload": {"token.$": "$$.Task.Token", "batch_id.$": "$.batch_id", "shard.$": "$.shard"},
        },
        "ResultPath": None,
        "Next": "Done",
        **more,
    }


def given(router: Router, shards: Sequence[Any], seconds_left: int = 30) -> dict[str, Any]:
    """The map's input, its list put in S3."""
    s3 = router.client("s3")
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="plan.json", Body=json.dumps(shards).encode())
    where = {"bucket": "data", "key": "plan.json", "count": len(shards)}
    return {"batch_id": "b", "seconds_left": seconds_left, "max_concurrency": 5, "shards": where}


def test_shards_are_dispatched_rerouted_timed_out_and_all_end(
    router: Router, machines: Machines, functions: FakeLambda
) -> None:
    sent: Counter[int] = Counter()

    def answer(event: Any) -> None:
        number = event["shard"]["n"]
        sent[number] += 1
        if number == 7:
            return  # never answered: runs out of time
        if number % 5 == 2 and sent[number] < 3:
            machines.client.send_task_failure(taskToken=event["token"], error="Rerouted", cause="late")
        else:
            machines.client.send_task_success(taskToken=event["token"], output="{}")

    functions.functions["dispatch"] = answer
    catch = [
        {"ErrorEquals": ["Rerouted"], "ResultPath": None, "Next": "Rerouted"},
        {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Done"},
    ]
    states = {
        "Dispatch": dispatch(functions, Catch=catch),
        "Rerouted": {"Type": "Pass", "Next": "Dispatch"},
        "Done": DONE,
    }
    value = given(router, [{"n": n} for n in range(20)], seconds_left=2)
    result = machines.run(the_map(states, "Dispatch", MaxConcurrency=10), value)
    assert (result["status"], json.loads(result["output"])) == ("SUCCEEDED", value)
    assert sent == {n: 1 if n == 7 or n % 5 != 2 else 3 for n in range(20)} | {7: 1}


def test_a_map_takes_its_concurrency_from_its_input(router: Router, machines: Machines, functions: FakeLambda) -> None:
    tokens: list[str] = []
    functions.functions["dispatch"] = lambda event: tokens.append(event["token"])
    states = {"Dispatch": dispatch(functions), "Done": DONE}
    definition = the_map(states, "Dispatch", MaxConcurrencyPath="$.max_concurrency")
    execution = machines.start(machines.create(definition), given(router, list(range(12))))
    until(lambda: len(tokens) == 5)
    for number in range(12):
        until(lambda number=number: len(tokens) > number)  # type: ignore[misc]
        assert len(tokens) <= 5 + number
        machines.client.send_task_success(taskToken=tokens[number], output="{}")
    assert machines.wait(execution)["status"] == "SUCCEEDED"


def test_a_map_over_nothing_succeeds(router: Router, machines: Machines) -> None:
    assert machines.run(the_map({"Done": DONE}, "Done"), given(router, []))["status"] == "SUCCEEDED"


def test_a_map_of_many_items_on_one_worker_ends(router: Router, machines: Machines) -> None:
    definition = the_map({"Done": DONE}, "Done", MaxConcurrency=1)
    execution = machines.start(machines.create(definition), given(router, list(range(1200))))
    until(lambda: machines.status(execution) != "RUNNING", seconds=90)
    assert machines.status(execution) == "SUCCEEDED"


def test_a_list_that_cannot_be_read_fails_the_map_and_is_caught_by_states_all(
    router: Router, machines: Machines
) -> None:
    value = given(router, [])
    value["shards"]["key"] = "missing.json"
    caught = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Done"}]
    definition = the_map({"Done": DONE}, "Done", Catch=caught)
    definition["States"]["Done"] = {"Type": "Pass", "End": True}
    result = machines.run(definition, value)
    assert result["status"] == "SUCCEEDED"
    error = json.loads(result["output"])["error"]["Error"]
    assert error == "States.Runtime"  # a trap: on AWS States.ItemReaderFailed, and States.Runtime is not caught


def test_trap_a_child_that_fails_is_silently_a_success(router: Router, machines: Machines) -> None:
    fails = {"Fails": {"Type": "Fail", "Error": "Bad"}}
    result = machines.run(the_map(fails, "Fails", ToleratedFailurePercentage=0.0), given(router, [1, 2]))
    assert result["status"] == "SUCCEEDED"  # on AWS: FAILED, States.ExceedToleratedFailureThreshold


def test_trap_a_catch_whose_next_is_its_own_state_goes_to_the_states_next(
    router: Router, machines: Machines, functions: FakeLambda
) -> None:
    sent: list[Any] = []

    def reroute(event: Any) -> None:
        sent.append(event["shard"])
        machines.client.send_task_failure(taskToken=event["token"], error="Rerouted")

    functions.functions["dispatch"] = reroute
    catch = [{"ErrorEquals": ["Rerouted"], "ResultPath": None, "Next": "Dispatch"}]
    states = {"Dispatch": dispatch(functions, Catch=catch), "Done": DONE}
    assert machines.run(the_map(states, "Dispatch"), given(router, [1]))["status"] == "SUCCEEDED"
    assert sent == [1]  # on AWS it would be dispatched again, for ever


def test_trap_a_heartbeat_without_a_time_out_is_a_time_out_of_60_seconds(functions: FakeLambda, router: Router) -> None:
    router.client("stepfunctions").list_state_machines()
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

    def timeout(**more: Any) -> int:
        task = {"Type": "Task", "Resource": functions.arn("f"), "End": True, **more}
        program: Any = AmazonStateLanguageParser.parse(json.dumps({"StartAt": "T", "States": {"T": task}}))[0]
        return int(program.states.states["T"].timeout.timeout_seconds)

    assert timeout() == 99_999_999
    assert timeout(HeartbeatSeconds=30) == 60  # on AWS: 99,999,999


def test_a_function_that_raises_is_caught_by_its_errors_class_name(machines: Machines, functions: FakeLambda) -> None:
    class NoSuchProfile(Exception):
        pass

    def plan(event: Any) -> None:
        raise NoSuchProfile("it is not there")

    functions.functions["plan"] = plan
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": functions.arn("plan"), "Payload.$": "$"},
        "Retry": [{"ErrorEquals": ["Lambda.ServiceException"], "IntervalSeconds": 1, "MaxAttempts": 2}],
        "Catch": [{"ErrorEquals": ["NoSuchProfile"], "ResultPath": "$.error", "Next": "Close"}],
        "End": True,
    }
    result = machines.run(
        {"StartAt": "Plan", "States": {"Plan": task, "Close": {"Type": "Pass", "End": True}}}, {"a": 1}
    )
    output = json.loads(result["output"])
    assert (output["a"], output["error"]["Error"]) == (1, "NoSuchProfile")
    assert "it is not there" in output["error"]["Cause"]


@pytest.mark.parametrize("resource", ["arn:aws:states:::lambda:invoke", None])
def test_a_result_over_256_kibibytes_fails_the_execution(
    machines: Machines, functions: FakeLambda, resource: str | None
) -> None:
    functions.functions["large"] = lambda event: "x" * (256 * 1024)
    task: dict[str, Any] = {"Type": "Task", "Resource": resource or functions.arn("large"), "End": True}
    if resource:
        task["Parameters"] = {"FunctionName": functions.arn("large")}
    result = machines.run({"StartAt": "T", "States": {"T": task}})
    assert (result["status"], result["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_a_state_over_256_kibibytes_fails_the_execution(machines: Machines, functions: FakeLambda) -> None:
    half = {"Type": "Task", "Resource": functions.arn("half")}
    functions.functions["half"] = lambda event: "x" * (150 * 1024)
    states = {"A": {**half, "ResultPath": "$.a", "Next": "B"}, "B": {**half, "ResultPath": "$.b", "End": True}}
    result = machines.run({"StartAt": "A", "States": states})
    assert (result["status"], result["error"]) == ("FAILED", "States.DataLimitExceeded")


def call(action: str, parameters: Mapping[str, Any], following: str) -> dict[str, Any]:
    task = {"Type": "Task", "Resource": f"arn:aws:states:::{action}", "Parameters": parameters}
    return {**task, "ResultPath": None, "Next": following}


def test_a_state_puts_and_updates_items(router: Router, machines: Machines) -> None:
    table = router.client("dynamodb")
    table.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    key = {"pk": {"S.$": "$.id"}}
    change = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}
    states = {
        "Put": call("dynamodb:putItem", {"TableName": "t", "Item": key}, "Update"),
        "Update": call("dynamodb:updateItem", {"TableName": "t", "Key": key, **change}, "Done"),
        "Done": DONE,
    }
    assert machines.run({"StartAt": "Put", "States": states}, {"id": "a"})["status"] == "SUCCEEDED"
    assert table.get_item(TableName="t", Key={"pk": {"S": "a"}})["Item"]["n"] == {"N": "1"}


def test_a_state_publishes_to_a_topic_and_puts_an_event(router: Router, machines: Machines) -> None:
    inbox, told = Inbox(router, "from-states"), Inbox(router, "told")
    rule(router, "from-states", {"source": ["batchmill"]}, inbox.arn)
    topic = router.client("sns").create_topic(Name="t")["TopicArn"]
    router.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=told.arn)
    entry = {"Source": "batchmill", "DetailType": "Done", "Detail": {"id.$": "$.id"}}
    states = {
        "Tell": call("sns:publish", {"TopicArn": topic, "Message.$": "$.id"}, "Emit"),
        "Emit": call("events:putEvents", {"Entries": [entry]}, "Done"),
        "Done": DONE,
    }
    assert machines.run({"StartAt": "Tell", "States": states}, {"id": "a"})["status"] == "SUCCEEDED"
    assert [event["detail"] for event in inbox.expect(1)] == [{"id": "a"}]
    assert [message["Message"] for message in told.expect(1)] == ["a"]


def test_a_token_goes_out_by_a_queue_and_a_choice_and_a_wait_follow_it(router: Router, machines: Machines) -> None:
    asked = Inbox(router, "asked")
    body = {"QueueUrl": asked.url, "MessageBody": {"token.$": "$$.Task.Token"}}
    chosen = [{"Variable": "$.id", "StringEquals": "a", "Next": "Wait"}]
    states = {
        "Ask": call("sqs:sendMessage.waitForTaskToken", body, "Choose"),
        "Choose": {"Type": "Choice", "Choices": chosen, "Default": "Bad"},
        "Bad": {"Type": "Fail", "Error": "Bad"},
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Done"},
        "Done": DONE,
    }
    execution = machines.start(machines.create({"StartAt": "Ask", "States": states}), {"id": "a"})
    [message] = asked.expect(1)
    machines.client.send_task_success(taskToken=message["token"], output="{}")
    assert machines.wait(execution)["status"] == "SUCCEEDED"
