"""Rules, their targets, and SNS to Lambda."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batchmill.local.bus import hidden_queue
from batchmill.local.router import Router
from contract.stack.stack_support import ROLE, FakeLambda, Inbox, error_code, rule


def _put(router: Router, source: str, detail: dict[str, Any]) -> None:
    entry = {"Source": source, "DetailType": "Test", "Detail": json.dumps(detail)}
    assert router.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ([{"prefix": "batches/"}], ["batches/b/results/part-1.parquet", "batches/b/x.parquet"]),
        ([{"suffix": ".csv"}], ["drop/a.csv"]),
        (
            [{"wildcard": "batches/*/results/*part-*.parquet"}],
            ["batches/b/results/part-1.parquet"],
        ),
        ([{"wildcard": "drop/*.*"}], ["drop/a.csv", "drop/a.jsonl"]),
        ([{"anything-but": {"prefix": "batches/"}}], ["drop/a.csv", "drop/a.jsonl"]),
        ([{"anything-but": {"suffix": ".csv"}}, "drop/a.csv"], None),
        (["drop/a.csv", {"suffix": ".jsonl"}], ["drop/a.csv", "drop/a.jsonl"]),
    ],
)
def test_a_rule_matches_keys_as_eventbridge_does(
    router: Router, request: pytest.FixtureRequest, filters: list[Any], keys: list[str] | None
) -> None:
    name = f"keys-{abs(hash(json.dumps(filters)))}"
    inbox = Inbox(router, name)
    pattern = {"source": [name], "detail": {"object": {"key": filters}}}
    rule(router, name, pattern, inbox.arn)
    every = ["batches/b/results/part-1.parquet", "batches/b/x.parquet", "drop/a.csv", "drop/a.jsonl"]
    for key in every:
        _put(router, name, {"object": {"key": key}})
    told = [event["detail"]["object"]["key"] for event in inbox.take()]
    assert told == (every if keys is None else keys)


def test_an_event_of_put_events_arrives_whole(router: Router) -> None:
    inbox = Inbox(router, "whole")
    rule(router, "whole", {"source": ["whole"]}, inbox.arn)
    _put(router, "whole", {"a": [1, {"b": None}]})
    [event] = inbox.expect(1)
    assert sorted(event) == [
        "account",
        "detail",
        "detail-type",
        "id",
        "region",
        "resources",
        "source",
        "time",
        "version",
    ]
    assert event["detail"] == {"a": [1, {"b": None}]}
    assert event["time"].endswith("Z")


def test_a_disabled_rule_and_a_rule_with_only_a_schedule_get_nothing(router: Router) -> None:
    inbox, events = Inbox(router, "quiet"), router.client("events")
    rule(router, "quiet", {"source": ["quiet"]}, inbox.arn)
    events.put_rule(Name="scheduled", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="scheduled", Targets=[{"Id": "one", "Arn": inbox.arn}])
    events.disable_rule(Name="quiet")
    _put(router, "quiet", {"n": 1})
    events.enable_rule(Name="quiet")
    _put(router, "quiet", {"n": 2})
    assert [event["detail"]["n"] for event in inbox.expect(1)] == [2]


def test_a_constant_input_replaces_the_event(router: Router) -> None:
    inbox = Inbox(router, "constant")
    rule(router, "constant", {"source": ["constant"]}, inbox.arn, Input='{"why": "because"}')
    _put(router, "constant", {})
    assert inbox.expect(1) == [{"why": "because"}]


@pytest.mark.parametrize(
    "target",
    [
        {"Arn": "arn:aws:sqs:us-east-1:123456789012:q", "InputTransformer": {"InputTemplate": '"x"'}},
        {"Arn": "arn:aws:sqs:us-east-1:123456789012:q", "InputPath": "$.detail"},
        {"Arn": "arn:aws:states:us-east-1:123456789012:stateMachine:m", "RoleArn": ROLE},
    ],
)
def test_a_target_that_could_not_be_served_is_refused(router: Router, target: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="the embedded stack") as raised:
        rule(router, "refused", {"source": ["refused"]}, target.pop("Arn"), **target)
    assert error_code(raised.value) == "ValidationException"


def test_a_rule_reaches_a_function_through_its_hidden_queue(router: Router, functions: FakeLambda) -> None:
    arn = rule(router, "to-function", {"source": ["to-function"]}, functions.arn("sweep"))
    sqs = router.client("sqs")
    url = hidden_queue(sqs, arn, functions.arn("sweep"))
    assert hidden_queue(sqs, arn, functions.arn("sweep")) == url
    _put(router, "to-function", {"n": 1})
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["detail"] == {"n": 1}


def test_sns_reaches_a_function_with_the_event_that_lambda_gets(router: Router, functions: FakeLambda) -> None:
    sns = router.client("sns")
    topic = sns.create_topic(Name="done")["TopicArn"]
    url = hidden_queue(router.client("sqs"), topic, functions.arn("tell"))
    subscription = sns.subscribe(
        TopicArn=topic,
        Protocol="lambda",
        Endpoint=functions.arn("tell"),
        Attributes={"FilterPolicy": json.dumps({"kind": ["wanted"]})},
    )["SubscriptionArn"]
    for kind in ("unwanted", "wanted"):
        attributes = {"kind": {"DataType": "String", "StringValue": kind}}
        sns.publish(TopicArn=topic, Message="body", Subject="about", MessageAttributes=attributes)
    [message] = router.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    [record] = json.loads(message["Body"])["Records"]
    assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
    assert record["EventSubscriptionArn"] == subscription
    assert (record["Sns"]["Message"], record["Sns"]["Subject"]) == ("body", "about")
    assert record["Sns"]["TopicArn"] == topic
    assert record["Sns"]["MessageAttributes"]["kind"] == {"Type": "String", "Value": "wanted"}


def test_sns_reaches_a_queue_as_before(router: Router) -> None:
    inbox, sns = Inbox(router, "from-topic"), router.client("sns")
    topic = sns.create_topic(Name="to-queue")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=inbox.arn)
    sns.publish(TopicArn=topic, Message="body")
    assert [message["Message"] for message in inbox.expect(1)] == ["body"]
