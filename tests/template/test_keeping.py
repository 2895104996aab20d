"""That what is kept is encrypted with the stack's key, kept as long as it should be, and watched."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from batchmill.adapters.s3 import TEMPORARY
from template.reading import BUILD, POOL, PROJECT, ROOT, as_list, named

KEY = {"Fn::GetAtt": ["Key", "Arn"]}
ALARMS = {**ROOT.of("CloudWatch::Alarm"), **POOL.of("CloudWatch::Alarm"), **BUILD.of("CloudWatch::Alarm")}
STEERING = {"BacklogAlarm", "WaitingAlarm", "IdleAlarm"}  # these scale, and are no sign of trouble
LOGS = ROOT.of("Logs::LogGroup")
SERVICES = {"logs", "cloudwatch"}


def lifecycle(bucket: str) -> dict[str, dict[str, Any]]:
    """A bucket's lifecycle rules by their ids."""
    rules = ROOT.of("S3::Bucket")[bucket]["LifecycleConfiguration"]["Rules"]
    return {rule["Id"]: rule for rule in rules if rule["Status"] == "Enabled"}


def test_the_key_is_rotated() -> None:
    [key] = ROOT.of("KMS::Key").values()
    assert key["EnableKeyRotation"] is True


@pytest.mark.parametrize("name", ["Key", "InputBucket", "DataBucket", "Table", "ApiAccount", "ApiLogRole"])
def test_what_is_kept_outlives_the_stack_but_not_a_first_deployment_that_failed(name: str) -> None:
    resource = ROOT.resources[name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_the_key_is_for_the_account_and_for_services_on_its_behalf_alone() -> None:
    [key] = ROOT.of("KMS::Key").values()
    account, *services = key["KeyPolicy"]["Statement"]
    assert account["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    names = [s["Principal"]["Service"] for s in services]
    assert {str(n["Fn::Sub"] if isinstance(n, dict) else n).partition(".")[0] for n in names} == SERVICES
    for statement in services:
        assert "AWS::AccountId" in str(statement["Condition"])
        assert [action for action in as_list(statement["Action"]) if "*" in action] == []


def test_objects_records_alarms_and_logs_are_encrypted_with_the_key() -> None:
    for bucket in ROOT.of("S3::Bucket").values():
        [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    [table] = ROOT.of("DynamoDB::Table").values()
    assert table["SSESpecification"]["KMSMasterKeyId"] == KEY
    assert ROOT.of("SNS::Topic")["AlarmTopic"]["KmsMasterKeyId"] == KEY
    for nested in (POOL, BUILD):
        [log] = nested.of("Logs::LogGroup").values()
        assert (log["KmsKeyId"], log["RetentionInDays"]) == ({"Ref": "KeyArn"}, {"Ref": "LogRetentionDays"})
    for stack in ("Pool", "Build"):
        assert ROOT.of("Serverless::Application")[stack]["Parameters"]["KeyArn"] == KEY


@pytest.mark.parametrize("name", ROOT.of("SecretsManager::Secret"))
def test_a_secret_is_encrypted_with_the_key_and_decrypted_by_its_reader_alone(name: str) -> None:
    assert ROOT.of("SecretsManager::Secret")[name]["KmsKeyId"] == KEY
    secret = {"Ref": name}
    readers = {
        o for o, s in ROOT.statements() if s["Action"] == "secretsmanager:GetSecretValue" and s["Resource"] == secret
    }
    via = {"Fn::Sub": "secretsmanager.${AWS::Region}.amazonaws.com"}
    condition = {"StringEquals": {"kms:ViaService": via, "kms:EncryptionContext:SecretARN": secret}}
    may = {o for o, s in ROOT.statements() if s["Action"] == "kms:Decrypt" and s.get("Condition") == condition}
    assert len(readers) == 1
    assert may == readers


@pytest.mark.parametrize("name", LOGS)
def test_logs_are_encrypted_and_end(name: str) -> None:
    assert LOGS[name]["KmsKeyId"] == KEY
    assert LOGS[name]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_what_workers_tag_as_temporary_is_removed_and_not_before_a_batch_can_have_ended() -> None:
    rule = lifecycle("DataBucket")["Checkpoints"]
    [tag] = rule["TagFilters"]
    assert (f"{tag['Key']}={tag['Value']}", rule["Prefix"]) == (TEMPORARY, "batches/")
    assert rule["ExpirationInDays"] == {"Ref": "CheckpointDays"}
    assert ROOT.document["Parameters"]["CheckpointDays"]["MinValue"] > 14  # the longest completion window


def test_only_a_shards_own_folder_may_be_tagged() -> None:
    resources = [s["Resource"] for _, s in POOL.statements() if "s3:PutObjectTagging" in as_list(s["Action"])]
    assert resources == [{"Fn::Sub": "arn:${AWS::Partition}:s3:::${DataBucket}/batches/*/shards/*"}]


@pytest.mark.parametrize("bucket", ROOT.of("S3::Bucket"))
def test_uploads_that_were_never_finished_are_removed(bucket: str) -> None:
    assert lifecycle(bucket)["UnfinishedUploads"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] > 14


def test_old_versions_of_inputs_go_but_not_while_a_batch_may_read_them() -> None:
    rule = lifecycle("InputBucket")["OldVersions"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": {"Ref": "OldVersionDays"}}
    assert ROOT.document["Parameters"]["OldVersionDays"]["MinValue"] > 14


def test_the_table_can_be_protected_from_deletion() -> None:
    [table] = ROOT.of("DynamoDB::Table").values()
    assert table["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
    assert ROOT.document["Parameters"]["DeletionProtection"]["Default"] == "true"


@pytest.mark.parametrize("template", [ROOT, POOL], ids=["root", "pool"])
def test_every_queue_of_dead_letters_has_an_alarm(template: Any) -> None:
    queues = template.of("SQS::Queue")
    dead = {name for queue in queues.values() for name in named(queue.get("RedrivePolicy", {}))}
    alarms = template.of("CloudWatch::Alarm").items()
    watched = {name for key, alarm in alarms if key not in STEERING for name in named(alarm.get("Dimensions", []))}
    assert dead
    assert dead <= watched


@pytest.mark.parametrize(("template", "topic"), [(ROOT, "AlarmTopic"), (POOL, "AlarmTopicArn")], ids=["root", "pool"])
def test_every_alarm_tells_somebody_or_scales(template: Any, topic: str) -> None:
    alarms = template.of("CloudWatch::Alarm")
    scaling = [[{"Ref": name}] for name in template.of("ApplicationAutoScaling::ScalingPolicy")]
    assert alarms
    assert {name for name, alarm in alarms.items() if alarm["AlarmActions"] in scaling} == STEERING & set(alarms)
    telling = {name: alarm["AlarmActions"] for name, alarm in alarms.items() if name not in STEERING}
    assert telling == {name: [{"Ref": topic}] for name in telling}
    assert [name for name, alarm in alarms.items() if str(alarm.get("ActionsEnabled", True)).lower() != "true"] == []


def test_the_topic_of_alarms_takes_them_from_the_stacks_alarms() -> None:
    [policy] = ROOT.of("SNS::TopicPolicy").values()
    [statement] = policy["PolicyDocument"]["Statement"]
    assert policy["Topics"] == [{"Ref": "AlarmTopic"}]
    assert (statement["Principal"], statement["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    for stack in ("Pool", "Build"):
        assert ROOT.of("Serverless::Application")[stack]["Parameters"]["AlarmTopicArn"] == {"Ref": "AlarmTopic"}


def test_a_sweep_that_does_not_run_is_noticed_by_its_silence() -> None:
    alarm = ALARMS["SweepAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("batchmill", "SweepOpen")
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["Dimensions"] == ALARMS["OldestShardAlarm"]["Dimensions"]
    assert alarm["Dimensions"] == [{"Name": "service", "Value": {"Ref": "AWS::StackName"}}]
    variables = ROOT.document["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}


def test_executions_that_end_badly_are_noticed() -> None:
    metrics = [m["MetricStat"]["Metric"] for m in ALARMS["ExecutionsAlarm"]["Metrics"] if "MetricStat" in m]
    assert {m["MetricName"] for m in metrics} == {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"}


def test_functions_and_the_state_machine_are_traced_and_logs_hold_no_data() -> None:
    assert ROOT.document["Globals"]["Function"]["Tracing"] == "Active"
    [machine] = ROOT.of("Serverless::StateMachine").values()
    assert machine["Tracing"] == {"Enabled": True}
    assert machine["Logging"]["IncludeExecutionData"] is False


@pytest.mark.parametrize("stage", ["default", "prod"])
def test_both_stages_deploy_with_the_parameters_that_the_template_has(stage: str) -> None:
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text())[stage]
    told = config["deploy"]["parameters"].get("parameter_overrides", [])
    assert {item.partition("=")[0] for item in told} <= set(ROOT.document["Parameters"])
    assert config["global"]["parameters"]["stack_name"].startswith("batchmill")
