"""A small template with one of each kind, deployed onto the embedded stack: all that it wires together works."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batchmill.local.host import Deployment
from batchmill.local.stack import Stack, StackOptions
from support.waiting import until

DATA = Path(__file__).parents[2] / "unit/local/data"
OPTIONS = StackOptions(DATA / "small.yaml", {"Greeting": "welcome"}, environment={"EXTRA": "local"}, speed=1)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(OPTIONS) as running:
        yield running


@pytest.fixture
def deployment(stack: Stack) -> Deployment:
    return stack.host.stacks["batchmill"]


@pytest.fixture
def seen(stack: Stack, deployment: Deployment) -> Callable[[Callable[[Any], Any]], list[Any]]:
    """The events that the functions got so far and that a predicate picks."""

    def find(wanted: Callable[[Any], Any]) -> list[Any]:
        items = stack.client("dynamodb").query(
            TableName=deployment.outputs["Table"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "EVENT"}},
        )["Items"]
        return [event for event in (json.loads(item["event"]["S"]) for item in items) if wanted(event)]

    return find


def _invoke(stack: Stack, name: str, event: Any) -> Any:
    answer = stack.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    return json.loads(answer["Payload"].read())


def _body(event: Any) -> Any:
    return [record.get("body") for record in event.get("Records", [])]


def test_outputs_are_resolved_across_stacks(deployment: Deployment) -> None:
    assert deployment.outputs["Summary"] == "batchmill in us-east-1 greets with welcome"
    assert deployment.outputs["InnerQueueUrl"] == deployment.resources["Inner/Queue"]


def test_the_command_line_finds_the_stack_as_a_deployed_one(stack: Stack, deployment: Deployment) -> None:
    (described,) = stack.client("cloudformation").describe_stacks(StackName="batchmill")["Stacks"]

    outputs = {item["OutputKey"]: item["OutputValue"] for item in described["Outputs"]}
    assert outputs == deployment.outputs
    assert described["StackStatus"] == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="Stack with id other does not exist"):
        stack.client("cloudformation").describe_stacks(StackName="other")


def test_functions_have_the_templates_variables_and_the_stacks(stack: Stack, deployment: Deployment) -> None:
    spec = stack.host.functions.spec(deployment.outputs["EchoFunction"])

    assert spec.environment["GREETING"] == "welcome"
    assert spec.environment["BUCKET"] == deployment.outputs["InputBucket"]
    assert spec.environment["EXTRA"] == "local"
    assert (spec.timeout_seconds, spec.memory_mb) == (20, 256)


def test_a_function_finds_only_what_its_layers_bring(stack: Stack, deployment: Deployment) -> None:
    assert _invoke(stack, deployment.outputs["EchoFunction"], {})["arrow"] is False
    assert _invoke(stack, deployment.outputs["HeavyFunction"], {})["arrow"] is True


def test_a_dropped_object_reaches_the_function_through_rule_and_queue(
    stack: Stack, deployment: Deployment, seen: Any
) -> None:
    stack.client("s3").put_object(Bucket=deployment.outputs["InputBucket"], Key="a/b.csv", Body=b"x")

    until(lambda: seen(lambda event: any("a/b.csv" in str(body) for body in _body(event))))
    (event,) = seen(lambda event: any("a/b.csv" in str(body) for body in _body(event)))
    drop = json.loads(event["Records"][0]["body"])
    assert drop["detail"]["bucket"]["name"] == deployment.outputs["InputBucket"]
    assert drop["detail"]["object"]["version-id"]


def test_a_bad_message_stays_and_the_good_ones_go(stack: Stack, deployment: Deployment, seen: Any) -> None:
    sqs, url = stack.client("sqs"), deployment.outputs["DropQueueUrl"]
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(["good", "bad"])]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)

    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "RedrivePolicy"]
    until(lambda: seen(lambda event: "bad" in _body(event)) and seen(lambda event: "good" in _body(event)))
    until(lambda: _counts(sqs, url, names) == ["0", "1"])

    redrive = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["RedrivePolicy"])
    assert redrive == {"deadLetterTargetArn": deployment.outputs["DropDeadLettersArn"], "maxReceiveCount": 3}


def _counts(sqs: Any, url: str, names: list[str]) -> list[str]:
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return [attributes[name] for name in names[:2]]


def test_a_rule_with_a_function_as_its_target_calls_it(stack: Stack, seen: Any) -> None:
    entry = {"Source": "small.test", "DetailType": "Thing", "Detail": json.dumps({"n": 1})}
    stack.client("events").put_events(Entries=[entry])

    until(lambda: seen(lambda event: event.get("source") == "small.test" and event["detail"] == {"n": 1}))


def test_a_topic_calls_the_function_that_subscribes_to_it(stack: Stack, deployment: Deployment, seen: Any) -> None:
    stack.client("sns").publish(TopicArn=deployment.outputs["Topic"], Message="hear this")

    until(lambda: seen(lambda event: event.get("Records", [{}])[0].get("Sns", {}).get("Message") == "hear this"))


def test_a_schedule_calls_the_function_with_its_input(stack: Stack, deployment: Deployment) -> None:
    outcome = stack.host.scheduler.fire(deployment.resources["EchoFunctionMinute"])

    assert json.loads(outcome.payload)["event"] == {"fired": True}


def test_the_state_machine_runs_the_function(stack: Stack, deployment: Deployment) -> None:
    states, machine = stack.client("stepfunctions"), deployment.outputs["MachineArn"]
    started = states.start_execution(stateMachineArn=machine, input='{"batch": 1}')

    def ended() -> Any:
        described = states.describe_execution(executionArn=started["executionArn"])
        return described if described["status"] != "RUNNING" else None

    until(ended)
    assert json.loads(ended()["output"])["event"] == {"batch": 1}


def test_a_table_has_its_index_and_its_time_to_live(stack: Stack, deployment: Deployment) -> None:
    dynamodb, name = stack.client("dynamodb"), deployment.outputs["Table"]

    described = dynamodb.describe_table(TableName=name)["Table"]
    assert [index["IndexName"] for index in described["GlobalSecondaryIndexes"]] == ["open"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert expiry == {"AttributeName": "expires_at", "TimeToLiveStatus": "ENABLED"}


def test_the_nested_stacks_service_runs_a_worker(stack: Stack, deployment: Deployment) -> None:
    ecs, outputs = stack.client("ecs"), deployment.outputs

    def running() -> Any:
        asked = {"cluster": outputs["InnerCluster"], "services": [outputs["InnerService"]]}
        return ecs.describe_services(**asked)["services"][0]["runningCount"] == 1

    until(running)


def test_what_has_no_effect_is_listed(deployment: Deployment) -> None:
    notes = "\n".join(deployment.notes)

    assert "no metric is kept here: CloudWatch::Alarm (1)" in notes
    assert "IAM::Role" in notes
