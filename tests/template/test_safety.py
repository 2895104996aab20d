"""That the template keeps what it must: least privilege, private buckets, parts written once, no loop."""

from __future__ import annotations

from typing import Any

import pytest

from template.reading import POOL, ROOT, TEMPLATES, as_list, named

BUCKETS = ROOT.of("S3::Bucket")
STATEMENTS = [item for template in TEMPLATES.values() for item in template.statements()]
# A key's policy speaks of the key: its resource is always everything, and what it gives the account, policies divide.
ALLOWED = [(owner, s) for owner, s in STATEMENTS if s["Effect"] == "Allow" and owner != "Key"]

# Actions that take no resource; every other one is scoped.
WITHOUT_RESOURCE = {
    "states:SendTaskSuccess",
    "states:SendTaskFailure",
    "ecr:GetAuthorizationToken",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}


def bucket_policy(bucket: str) -> list[dict[str, Any]]:
    """The statements on a bucket."""
    [policy] = [p for p in ROOT.of("S3::BucketPolicy").values() if p["Bucket"] == {"Ref": bucket}]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def rules_into(queue: str) -> dict[str, dict[str, Any]]:
    """The patterns of the rules that send to a queue."""
    arn = {"Fn::GetAtt": [queue, "Arn"]}
    rules = ROOT.of("Events::Rule").items()
    return {name: rule["EventPattern"] for name, rule in rules if arn in [t["Arn"] for t in rule["Targets"]]}


def rules_failing_into(queue: str) -> set[str]:
    """The rules whose deliveries, given up, come to a queue."""
    arn = {"Fn::GetAtt": [queue, "Arn"]}
    rules = ROOT.of("Events::Rule").items()
    return {name for name, rule in rules if arn in [t["DeadLetterConfig"]["Arn"] for t in rule["Targets"]]}


def test_no_action_is_a_wildcard() -> None:
    assert [(o, s["Action"]) for o, s in ALLOWED if any("*" in action for action in as_list(s["Action"]))] == []


def test_no_resource_is_everything_but_where_an_action_takes_none() -> None:
    # A policy of an endpoint gives nobody anything: it bounds what the roles may do by way of it.
    given = [statement for _, statement in ALLOWED if "Principal" not in statement]
    everything = [statement for statement in given if "*" in as_list(statement.get("Resource", "none"))]
    assert {action for statement in everything for action in as_list(statement["Action"])} == WITHOUT_RESOURCE


def test_nobody_may_delete_an_object_or_a_record() -> None:
    actions = {action for _, statement in ALLOWED for action in as_list(statement["Action"])}
    assert not {action for action in actions if "Delete" in action} - {"sqs:DeleteMessage", "logs:DeleteLogDelivery"}


def test_workers_never_call_step_functions() -> None:
    actions = [action for _, statement in POOL.statements() for action in as_list(statement["Action"])]
    assert [action for action in actions if action.startswith("states:")] == []


@pytest.mark.parametrize("name", ROOT.of("Serverless::Function"))
def test_every_function_has_a_role_and_a_log_of_its_own(name: str) -> None:
    step = name.removesuffix("Function")
    function = ROOT.of("Serverless::Function")[name]
    # With a role that is given, SAM attaches none of AWS's managed policies, which are for every resource.
    assert function["Role"] == {"Fn::GetAtt": [f"{step}Role", "Arn"]}
    assert "Policies" not in function
    assert function["LoggingConfig"]["LogGroup"] == {"Ref": f"{step}Logs"}
    assert "ManagedPolicyArns" not in ROOT.of("IAM::Role")[f"{step}Role"]
    [writes] = [s for o, s in ALLOWED if o == f"{step}Role" and "logs:PutLogEvents" in as_list(s["Action"])]
    assert writes["Resource"] == {"Fn::GetAtt": [f"{step}Logs", "Arn"]}


@pytest.mark.parametrize("name", ROOT.of("Serverless::Function"))
def test_a_function_may_take_messages_from_its_own_queues_alone(name: str) -> None:
    events = ROOT.of("Serverless::Function")[name].get("Events", {}).values()
    queues = [event["Properties"]["Queue"] for event in events if event["Type"] == "SQS"]
    role = f"{name.removesuffix('Function')}Role"
    takes = [s for o, s in ALLOWED if o == role and "sqs:ReceiveMessage" in as_list(s["Action"])]
    assert [queue for statement in takes for queue in as_list(statement["Resource"])] == queues


@pytest.mark.parametrize("name", BUCKETS)
def test_buckets_are_private_encrypted_and_reached_by_tls_only(name: str) -> None:
    assert set(BUCKETS[name]["PublicAccessBlockConfiguration"].values()) == {True}
    assert BUCKETS[name]["BucketEncryption"]
    [tls] = [s for s in bucket_policy(name) if s["Sid"] == "TlsOnly"]
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert len(tls["Resource"]) == 2


def test_the_input_bucket_keeps_versions_and_both_buckets_tell_eventbridge() -> None:
    assert BUCKETS["InputBucket"]["VersioningConfiguration"] == {"Status": "Enabled"}
    for bucket in BUCKETS.values():
        assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}


def test_results_never_trigger_intake() -> None:
    patterns = rules_into("IntakeQueue")
    assert set(patterns) == {"DropRule", "ExecutionEndedRule"}
    assert "DataBucket" not in named(patterns["DropRule"])
    assert patterns["DropRule"]["detail"] == {"bucket": {"name": [{"Ref": "InputBucket"}]}}


def test_only_bad_ends_of_our_own_executions_come_back_to_intake() -> None:
    detail = rules_into("IntakeQueue")["ExecutionEndedRule"]["detail"]
    assert detail == {"stateMachineArn": [{"Ref": "StateMachine"}], "status": ["FAILED", "TIMED_OUT", "ABORTED"]}


def test_parts_and_nothing_else_are_resumed() -> None:
    [pattern] = rules_into("ResumeQueue").values()
    assert pattern["detail"]["object"] == {"key": [{"wildcard": "batches/*/results/*part-*.parquet"}]}


def test_a_part_can_only_be_written_where_there_is_none() -> None:
    [rule] = [s for s in bucket_policy("DataBucket") if s["Sid"] == "PartsAreWrittenOnce"]
    assert rule["Effect"] == "Deny"
    assert rule["Principal"] == "*"
    assert rule["Action"] == "s3:PutObject"
    assert rule["Resource"] == {"Fn::Sub": "${DataBucket.Arn}/batches/*/results/*part-*.parquet"}
    # CreateMultipartUpload and UploadPart cannot carry the header: only what creates an object is held to it.
    assert rule["Condition"] == {
        "Null": {"s3:if-none-match": "true"},
        "Bool": {"s3:ObjectCreationOperation": "true"},
    }


@pytest.mark.parametrize("name", ROOT.of("SQS::QueuePolicy"))
def test_queues_take_messages_from_our_own_rules_only(name: str) -> None:
    policy = ROOT.of("SQS::QueuePolicy")[name]
    [queue] = policy["Queues"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Resource"] == {"Fn::GetAtt": [queue["Ref"], "Arn"]}
    senders = named(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
    assert senders == set(rules_into(queue["Ref"])) | rules_failing_into(queue["Ref"])


@pytest.mark.parametrize("name", ROOT.of("Events::Rule"))
def test_what_a_rule_cannot_deliver_lies_with_the_dead_letters_of_the_queue_it_is_for(name: str) -> None:
    [target] = ROOT.of("Events::Rule")[name]["Targets"]
    queue = ROOT.of("SQS::Queue")[target["Arn"]["Fn::GetAtt"][0]]
    assert target["DeadLetterConfig"]["Arn"] == queue["RedrivePolicy"]["deadLetterTargetArn"]
    assert target["RetryPolicy"] == {
        "MaximumRetryAttempts": 185,
        "MaximumEventAgeInSeconds": 86400,
    }  # EventBridge's most
    policies = ROOT.of("SQS::QueuePolicy").values()
    assert [{"Ref": target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]}] in [policy["Queues"] for policy in policies]


def test_the_table_is_backed_up_and_forgets_what_has_expired() -> None:
    [table] = ROOT.of("DynamoDB::Table").values()
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_a_worker_has_less_time_to_stop_than_a_spot_notice_gives() -> None:
    [task] = POOL.of("ECS::TaskDefinition").values()
    assert [container["StopTimeout"] for container in task["ContainerDefinitions"]] == [110]


def test_workers_have_no_public_address_and_nobody_calls_them() -> None:
    [service] = POOL.of("ECS::Service").values()
    assert service["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"
    [group] = POOL.of("EC2::SecurityGroup").values()
    assert "SecurityGroupIngress" not in group


def test_who_sends_shards_may_send_to_the_pools_queue_and_to_no_other() -> None:
    pool = {"Fn::GetAtt": ["Pool", "Outputs.QueueArn"]}
    senders = [owner for owner, s in ALLOWED if "sqs:SendMessage" in as_list(s["Action"]) and s["Resource"] == pool]
    assert sorted(senders) == ["DispatchRole", "PauseRole", "SweepRole"]
    sends = [s for owner, s in ALLOWED if owner in senders and "sqs:SendMessage" in as_list(s["Action"])]
    assert [s["Resource"] for s in sends] == [pool] * 3


def test_pausing_reads_and_writes_records_and_answers_no_token_but_with_a_failure() -> None:
    allowed = {action for owner, s in ALLOWED if owner == "PauseRole" for action in as_list(s["Action"])}
    assert not [action for action in allowed if action.startswith("s3:")]
    assert {action for action in allowed if action.startswith("states:")} == {"states:SendTaskFailure"}
    assert {action for action in allowed if action.startswith("dynamodb:")} == {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
    }


SERVICES = [
    (name, statement)
    for template in TEMPLATES.values()
    for name, role in template.of("IAM::Role").items()
    for statement in role["AssumeRolePolicyDocument"]["Statement"]
]
# Roles of functions and instances are given by who makes these; API Gateway is not known to send the account.
WITHOUT_ACCOUNT = {"lambda.amazonaws.com", "ec2.amazonaws.com", "apigateway.amazonaws.com"}


@pytest.mark.parametrize(("name", "statement"), SERVICES, ids=[name for name, _ in SERVICES])
def test_a_service_takes_a_role_for_this_account_alone(name: str, statement: dict[str, Any]) -> None:
    account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    service = statement["Principal"]["Service"]
    assert (statement.get("Condition", {}).get("StringEquals") == account) is (service not in WITHOUT_ACCOUNT)


def test_step_functions_takes_its_role_for_the_machine_and_for_the_runs_of_its_maps() -> None:
    [statement] = ROOT.of("IAM::Role")["StateMachineRole"]["AssumeRolePolicyDocument"]["Statement"]
    own = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:${AWS::StackName}-batch"
    assert statement["Condition"]["ArnLike"]["aws:SourceArn"] == [{"Fn::Sub": own}, {"Fn::Sub": f"{own}/*"}]


def test_the_sweep_runs_every_minute() -> None:
    [event] = ROOT.of("Serverless::Function")["SweepFunction"]["Events"].values()
    assert (event["Type"], event["Properties"]["Schedule"]) == ("Schedule", "rate(1 minute)")
