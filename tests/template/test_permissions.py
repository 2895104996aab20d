"""That every role may do just what its code does, and every function is told just what its code reads."""

from __future__ import annotations

from typing import Any

import pytest

from template.reaching import code, reached, settings_read, worker_settings
from template.reading import POOL, ROOT, Template, as_list

_READ = {"s3:GetObject", "s3:ListBucket"}  # without the second S3 says 403 of what does not exist
_VERSION = {"s3:GetObjectVersion", "s3:ListBucket"}
_CHANGE = {"dynamodb:GetItem", "dynamodb:PutItem"}

# What each port's method calls by its adapter (adapters/dynamodb.py, ecs.py, eventbridge.py and so on).
ACTIONS: dict[str, set[str]] = {
    "Objects.head": _READ,
    "Objects.head+version": _READ | _VERSION,  # a version where there is one
    "Objects.get": _READ,
    "Objects.get+version": _READ | _VERSION,
    "Objects.read": _READ | _VERSION,
    "Objects.presign": _READ,  # it calls nobody: whoever follows the link does so by the role's rights
    "Objects.list": {"s3:ListBucket"},
    "Tables.footer": _READ | _VERSION,  # by Objects.read
    "Tables.rows": _READ | _VERSION,
    "Objects.put": {"s3:PutObject"},
    "Objects.put+temporary": {"s3:PutObject", "s3:PutObjectTagging"},
    "Objects.create": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "Objects.create+temporary": {"s3:PutObject", "s3:AbortMultipartUpload", "s3:PutObjectTagging"},
    "Batches.create": _CHANGE,  # it looks whether the record that is there is its own
    "Batches.get": {"dynamodb:GetItem"},
    "Batches.shard": {"dynamodb:GetItem"},
    "Batches.change": _CHANGE,
    "Batches.change_shard": _CHANGE,
    "Batches.update_shard": _CHANGE,
    "Batches.shards": {"dynamodb:Query"},
    "Batches.open_shards": {"dynamodb:Query"},
    "Batches.live": {"dynamodb:Query"},
    "Batches.recent": {"dynamodb:Query"},
    "Queue.send": {"sqs:SendMessage"},
    "Queue.receive": {"sqs:ReceiveMessage"},
    "Queue.extend": {"sqs:ChangeMessageVisibility"},
    "Queue.delete": {"sqs:DeleteMessage"},
    "Workflow.start": {"states:StartExecution"},
    "Workflow.succeed": {"states:SendTaskSuccess"},
    "Workflow.fail": {"states:SendTaskFailure"},
    "Capacity.wake": {"ecs:DescribeServices", "ecs:UpdateService"},
    "Functions.begin": {"lambda:InvokeFunction"},
    "Secrets.read": {"secretsmanager:GetSecretValue"},
    "Notifier.deliver": {"events:PutEvents", "sns:Publish", "secretsmanager:GetSecretValue"},  # its three channels
}
# Ports that call nothing of AWS.
LOCAL = {"Clock", "Engine", "Parts", "Schemas", "Templates", "Template"}
QUERIED = {
    "Batches.shards": {"Fn::GetAtt": ["Table", "Arn"]},
    "Batches.open_shards": {"Fn::Sub": "${Table.Arn}/index/open"},
    "Batches.live": {"Fn::Sub": "${Table.Arn}/index/open"},
    "Batches.recent": {"Fn::Sub": "${Table.Arn}/index/listed"},
}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"}
FROM_QUEUE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
# What S3 and DynamoDB do with a customer's key for whoever calls them.
CRYPT = {f"kms:{do}" for do in ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")}

# Fields of Settings that a deployment leaves at their defaults; the last is the embedded stack's alone.
DEFAULTS = {"checkpoint_seconds", "poll_seconds", "engine_key", "webhook_allow"}
ALWAYS = {"BATCHMILL_TABLE", "BATCHMILL_DATA_BUCKET"}  # no process starts without them

STEPS = {name: name.removesuffix("Function") for name in ROOT.of("Serverless::Function")}


def may(template: Template, role: str) -> dict[str, list[Any]]:
    """What a role's own policies let it do: resources by action."""
    found: dict[str, list[Any]] = {}
    for policy in template.of("IAM::Role")[role]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            for action in as_list(statement["Action"]):
                found.setdefault(action, []).extend(as_list(statement["Resource"]))
    return found


def needed(calls: set[str]) -> set[str]:
    """The actions of calls of ports, and those of the key that go with them."""
    actions = {action for call in calls if call.partition(".")[0] not in LOCAL for action in ACTIONS[call]}
    services = {action.partition(":")[0] for action in actions}
    decrypt = {"kms:Decrypt"} if "secretsmanager" in services else set[str]()
    return actions | decrypt | (CRYPT if services & {"s3", "dynamodb"} else set())


def variables(fields: set[str]) -> set[str]:
    """The environment variables of fields of Settings."""
    return {f"BATCHMILL_{name.upper()}" for name in fields - DEFAULTS}


def told(name: str) -> set[str]:
    """The variables of ours that a function needs."""
    fields = settings_read(STEPS[name].lower())
    if "Workflow.start" not in reached(STEPS[name]):
        fields -= {"state_machine_arn"}  # answering a token needs no machine
    return variables(fields) | ALWAYS


def test_every_method_of_a_port_is_known_to_call_something_or_nothing() -> None:
    ports = {name: found for name, found in code().classes.items() if found.port and found.methods}
    methods = {f"{name}.{method}" for name, found in ports.items() if name not in LOCAL for method in found.methods}
    assert {call.partition("+")[0] for call in ACTIONS} == methods
    assert set(ports) >= LOCAL


@pytest.mark.parametrize(
    ("step", "calls"),
    [
        ("Close", {"Batches.shards", "Objects.list", "Objects.put", "Batches.change"}),
        ("Sweep", {"Workflow.start", "Workflow.succeed", "Workflow.fail", "Queue.send", "Capacity.wake"}),
        ("Land", {"Workflow.succeed", "Objects.create", "Objects.read", "Batches.update_shard"}),
        ("Complete", {"Queue.send", "Objects.head", "Objects.put"}),
        ("Api", {"Functions.begin", "Queue.send", "Batches.recent", "Batches.shards", "Objects.head"}),
        ("Authorize", {"Secrets.read"}),
    ],
)
def test_what_a_step_reaches_is_found_in_its_code(step: str, calls: set[str]) -> None:
    assert calls <= reached(step)


def test_what_a_step_does_not_reach_is_not_found() -> None:
    assert not {"Workflow.fail", "Workflow.start", "Batches.shards"} & reached("Land")
    assert not {call for call in reached("Cancel") if call.startswith("Objects.")}
    assert "Workflow.succeed" not in reached("Pause")


@pytest.mark.parametrize("name", STEPS)
def test_a_functions_role_may_do_what_its_step_does_and_nothing_besides(name: str) -> None:
    events = ROOT.of("Serverless::Function")[name].get("Events", {}).values()
    queue = FROM_QUEUE if any(event["Type"] == "SQS" for event in events) else set[str]()
    wanted = needed(reached(STEPS[name])) | LOGS | TRACES | queue
    assert set(may(ROOT, f"{STEPS[name]}Role")) == wanted


@pytest.mark.parametrize("name", STEPS)
def test_a_role_queries_the_table_and_the_indexes_that_its_step_asks(name: str) -> None:
    asked = [QUERIED[call] for call in reached(STEPS[name]) & set(QUERIED)]
    allowed = may(ROOT, f"{STEPS[name]}Role").get("dynamodb:Query", [])
    assert all(resource in allowed for resource in asked)
    # One statement is for records and indexes, so the table itself may be among them without need.
    assert all(resource in asked for resource in allowed if "Fn::Sub" in resource)


def test_a_worker_may_do_what_the_step_work_does_and_nothing_besides() -> None:
    # Its engine reads the weights: no other actions than those with which the worker reads.
    assert set(may(POOL, "TaskRole")) == needed(reached("Work", "run"))


@pytest.mark.parametrize("name", STEPS)
def test_a_function_is_told_what_its_code_reads(name: str) -> None:
    given = ROOT.functions()[name]["Environment"]["Variables"]
    assert told(name) - set(given) == set()


@pytest.mark.parametrize("name", STEPS)
def test_a_function_is_told_nothing_of_its_own_that_its_code_does_not_read(name: str) -> None:
    own = ROOT.of("Serverless::Function")[name].get("Environment", {}).get("Variables", {})
    assert set(own) - told(name) == set()


def test_what_every_function_is_told_some_function_reads() -> None:
    shared = ROOT.document["Globals"]["Function"]["Environment"]["Variables"]
    assert {name for name in shared if name.startswith("BATCHMILL_")} <= {one for name in STEPS for one in told(name)}


def test_a_worker_is_told_what_its_code_reads_and_nothing_besides() -> None:
    [task] = POOL.of("ECS::TaskDefinition").values()
    [container] = task["ContainerDefinitions"]
    given = {item["Name"] for item in container["Environment"] if item["Name"].startswith("BATCHMILL_")}
    read = variables(settings_read("work") | worker_settings()) | ALWAYS
    assert read == given
