"""What the deployer says of templates that cannot run here: the resource by name, and why."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from batchmill.local.intrinsics import TemplateError
from batchmill.local.stack import Stack, StackOptions

FUNCTION = {"Type": "AWS::Serverless::Function", "Properties": {"Handler": "a.b", "CodeUri": "."}}


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"Broker": {"Type": "AWS::MSK::Cluster"}}, "Broker: the embedded stack has no AWS::MSK::Cluster"),
        (
            {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Nobody"}}}},
            r"Q \(AWS::SQS::Queue\): Ref names 'Nobody'",
        ),
        (
            {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q" * 81}}},
            "longer than 80 characters",
        ),
        ({"F": {"Type": "AWS::Lambda::Function", "Properties": {"Handler": "a.b"}}}, "Code is missing"),
        (
            {
                "B": {
                    "Type": "AWS::S3::Bucket",
                    "Properties": {"NotificationConfiguration": {"QueueConfigurations": [{"Queue": "q"}]}},
                }
            },
            "notifications go through EventBridge",
        ),
        (
            {
                "R": {"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "cron(0 0 * * ? *)"}},
                "F": FUNCTION,
            },
            None,
        ),
        (
            {
                "F": FUNCTION,
                "R": {
                    "Type": "AWS::Events::Rule",
                    "Properties": {
                        "ScheduleExpression": "cron(0 0 * * ? *)",
                        "Targets": [{"Id": "f", "Arn": {"Fn::GetAtt": ["F", "Arn"]}}],
                    },
                },
            },
            r"R \(AWS::Events::Rule\): cron",
        ),
        (
            {
                "R": {
                    "Type": "AWS::Events::Rule",
                    "Properties": {
                        "EventPattern": {"source": ["x"]},
                        "Targets": [{"Id": "k", "Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"}],
                    },
                },
            },
            r"R \(AWS::Events::Rule\): .*kinesis",
        ),
        (
            {
                "R": {
                    "Type": "AWS::Events::Rule",
                    "Properties": {
                        "EventPattern": {"source": ["x"]},
                        "Targets": [{"Id": "b", "Arn": "arn:aws:codebuild:us-east-1:123456789012:project/p"}],
                    },
                },
            },
            None,
        ),
        (
            {
                "Q": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 1}},
                "F": FUNCTION,
                "M": {
                    "Type": "AWS::Lambda::EventSourceMapping",
                    "Properties": {
                        "EventSourceArn": {"Fn::GetAtt": ["Q", "Arn"]},
                        "FunctionName": {"Ref": "F"},
                    },
                },
            },
            "visibility timeout",
        ),
    ],
)
def test_what_cannot_be_made_is_named(tmp_path: Path, resources: Any, words: str | None) -> None:
    template = tmp_path / "template.yaml"
    globals_ = {"Function": {"Runtime": "python3.13"}}
    template.write_text(yaml.safe_dump({"Globals": globals_, "Resources": resources}))
    stack = Stack(StackOptions(template))

    if words is None:
        with stack:
            assert stack.host.stacks
    else:
        with pytest.raises(TemplateError, match=words):
            stack.start()

    lasting = {"task", "ecs", "schedule"}
    assert not [thread for thread in threading.enumerate() if thread.name.split("-")[0].split()[0] in lasting]


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(yaml.safe_dump({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}))
    with Stack(StackOptions(template)) as first:
        port = int(first.endpoint_url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="in use"):
            Stack(StackOptions(template, port=port)).start()
        assert first.client("sqs").list_queues()["QueueUrls"]
