"""That the worker's image and the weights are made by the stack, in time, by a role that may do just that."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from batchmill.local.intrinsics import Made, Scope, resolve
from template.reading import BUILD, POOL, ROOT, as_list, named

[PROJECT] = BUILD.of("CodeBuild::Project").values()
[REPOSITORY] = BUILD.of("ECR::Repository").values()
[TASK] = POOL.of("ECS::TaskDefinition").values()
[CONTAINER] = TASK["ContainerDefinitions"]
GIVEN = ROOT.of("Serverless::Application")["Build"]["Parameters"]


def granted(role: str) -> dict[str, Any]:
    """What a role of the build stack may do: resources by action. What depends on a condition is among it."""
    return {
        action: statement["Resource"]
        for owner, statement in BUILD.statements()
        if owner == role and statement["Effect"] == "Allow" and "Principal" not in statement
        for action in as_list(statement["Action"])
    }


def condition_of(action: str) -> dict[str, Any]:
    """The condition under which the project's role may do something."""
    [found] = [s for o, s in BUILD.statements() if o == "ProjectRole" and action in as_list(s["Action"])]
    condition: dict[str, Any] = found.get("Condition", {})
    return condition


def variables() -> dict[str, Any]:
    """The project's environment, without what depends on a condition."""
    return {item["Name"]: item["Value"] for item in PROJECT["Environment"]["EnvironmentVariables"] if "Name" in item}


def test_another_content_of_the_image_has_another_tag() -> None:
    condition, tag, none = GIVEN["ImageTag"]["Fn::If"]
    assert (condition, none) == ("OwnImage", "")
    assert named(tag) == {"EngineImage", "CoreLayer", "WorkerSource"}
    layers = {
        name: Made(f"arn:aws:lambda:us-east-1:123456789012:layer:{name}:7") for name in ("CoreLayer", "WorkerSource")
    }
    tags = {resolve(tag, Scope({"EngineImage": "vllm/vllm-openai:v0.32.0"}, made=layers))}
    tags.add(resolve(tag, Scope({"EngineImage": "vllm/vllm-openai:v0.33.0"}, made=layers)))
    for name in layers:
        newer = {**layers, name: Made(f"arn:aws:lambda:us-east-1:123456789012:layer:{name}:8")}
        tags.add(resolve(tag, Scope({"EngineImage": "vllm/vllm-openai:v0.32.0"}, made=newer)))
    assert tags == {"v0.32.0-7-7", "v0.33.0-7-7", "v0.32.0-8-7", "v0.32.0-7-8"}


def test_layers_of_two_stacks_have_two_names() -> None:
    layers = ROOT.of("Serverless::LayerVersion")
    own = {name: layer["LayerName"]["Fn::Sub"].removeprefix("${AWS::StackName}-") for name, layer in layers.items()}
    assert own == {"CoreLayer": "core", "ArrowLayer": "arrow", "WorkerSource": "worker-source"}


def test_a_tag_is_never_moved_and_old_images_go() -> None:
    assert REPOSITORY["ImageTagMutability"] == "IMMUTABLE"
    assert REPOSITORY["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert REPOSITORY["EncryptionConfiguration"] == {"EncryptionType": "KMS", "KmsKey": {"Ref": "KeyArn"}}
    assert REPOSITORY["EmptyOnDelete"] is True
    [rule] = json.loads(REPOSITORY["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"]["countNumber"] >= 2
    assert rule["action"] == {"type": "expire"}


def test_the_pool_runs_the_image_that_is_given_or_the_one_that_is_built() -> None:
    pool = ROOT.of("Serverless::Application")["Pool"]["Parameters"]
    own = {"Fn::GetAtt": ["Build", "Outputs.ImageUri"]}
    assert pool["WorkerImage"]["Fn::If"] == ["OwnImage", own, {"Ref": "WorkerImage"}]
    assert variables()["IMAGE"] == BUILD.document["Outputs"]["ImageUri"]["Value"]


def test_the_engine_reads_the_weights_from_where_the_build_puts_them() -> None:
    pool = ROOT.of("Serverless::Application")["Pool"]["Parameters"]
    place = {"Fn::Sub": "s3://${DataBucket}/models/${Model}/${ModelRevision}/"}
    assert GIVEN["Weights"]["Fn::If"] == ["FromHub", place, ""]
    assert pool["Weights"]["Fn::If"] == ["FromHub", place, {"Ref": "Weights"}]
    command = json.dumps(CONTAINER["Environment"])
    assert "vllm serve ${Weights} --load-format runai_streamer --served-model-name ${Model}" in command


def test_a_worker_may_read_the_weights_and_the_engine_calls_nobody_else() -> None:
    arn = {"Fn::Sub": "arn:${AWS::Partition}:s3:::"}
    reads = [s["Resource"] for o, s in POOL.statements() if o == "TaskRole" and s["Action"] == "s3:GetObject"]
    assert reads == [{"Fn::Join": ["", [arn, {"Fn::Select": [1, {"Fn::Split": ["s3://", {"Ref": "Weights"}]}]}, "*"]]}]
    environment = {item["Name"]: item["Value"] for item in CONTAINER["Environment"]}
    assert environment["HF_HUB_OFFLINE"] == environment["VLLM_NO_USAGE_STATS"] == "1"
    assert environment["AWS_DEFAULT_REGION"] == {"Ref": "AWS::Region"}


def test_the_sources_come_with_the_deployment_and_by_no_other_way() -> None:
    assert PROJECT["Source"]["Type"] == "NO_SOURCE"
    assert granted("ProjectRole")["lambda:GetLayerVersion"] == [{"Ref": "CoreLayerArn"}, {"Ref": "WorkerSourceArn"}]
    assert (GIVEN["CoreLayerArn"], GIVEN["WorkerSourceArn"]) == ({"Ref": "CoreLayer"}, {"Ref": "WorkerSource"})


def test_the_image_is_built_before_the_weights_are_brought() -> None:
    phases = yaml.safe_load(PROJECT["Source"]["BuildSpec"])["phases"]
    assert phases["build"]["commands"] == ["bash source/build.sh image"]
    assert phases["post_build"]["commands"] == ["bash source/build.sh weights"]
    assert "$WORKER_SOURCE" in phases["install"]["commands"][0]


def test_a_build_can_run_docker_and_its_failure_is_tried_again_and_told() -> None:
    assert PROJECT["Environment"]["PrivilegedMode"] is True
    assert PROJECT["AutoRetryLimit"] > 0
    own = "arn:${AWS::Partition}:codebuild:${AWS::Region}:${AWS::AccountId}:project/${ParentName}-build"
    assert granted("ProjectRole")["codebuild:RetryBuild"] == {"Fn::Sub": own}
    metrics = [m["MetricStat"]["Metric"] for m in BUILD.of("CloudWatch::Alarm")["BuildAlarm"]["Metrics"][1:]]
    assert {metric["MetricName"] for metric in metrics} == {"FailedBuilds", "FailedInvocations"}


def test_a_new_task_definition_of_a_pool_starts_a_build() -> None:
    [rule] = BUILD.of("Events::Rule").values()
    pattern = rule["EventPattern"]
    assert (pattern["source"], pattern["detail-type"]) == (
        ["aws.cloudformation"],
        ["CloudFormation Resource Status Change"],
    )
    detail = pattern["detail"]
    assert detail["resource-type"] == [POOL.resources["TaskDefinition"]["Type"]]
    assert detail["status-details"] == {"status": ["CREATE_COMPLETE", "UPDATE_COMPLETE"]}
    [prefix] = [found["prefix"]["Fn::Sub"] for found in detail["stack-id"]]
    assert prefix.endswith(":stack/${ParentName}-Pool-")
    assert "Pool" in ROOT.of("Serverless::Application")
    assert GIVEN["ParentName"] == {"Ref": "AWS::StackName"}
    [target] = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["Project", "Arn"]}
    assert granted("StartRole") == {"codebuild:StartBuild": target["Arn"]}


def test_the_rule_that_starts_a_build_is_there_before_the_pool_whatever_is_built() -> None:
    pool = ROOT.of("Serverless::Application")["Pool"]["Parameters"]
    assert pool["BuiltBy"]["Fn::If"] == ["Builds", {"Fn::GetAtt": ["Build", "Outputs.ProjectName"]}, "none"]
    assert TASK["Tags"] == [{"Key": "batchmill:built-by", "Value": {"Ref": "BuiltBy"}}]


@pytest.mark.parametrize("parameter", ["WorkerImage", "Weights", "Model", "ModelRevision"])
def test_what_a_build_makes_is_in_the_task_definition_whose_change_starts_it(parameter: str) -> None:
    assert parameter in named(TASK)


def test_the_role_writes_the_models_and_its_own_repository_and_nothing_else() -> None:
    actions = granted("ProjectRole")
    assert actions["s3:PutObject"] == {"Fn::Sub": "arn:${AWS::Partition}:s3:::${DataBucket}/models/*"}
    assert actions["s3:GetObject"] == actions["s3:PutObject"]
    assert condition_of("s3:ListBucket") == {"StringLike": {"s3:prefix": "models/*"}}
    assert actions["ecr:PutImage"] == {"Fn::GetAtt": ["Repository", "Arn"]}
    assert actions["kms:GenerateDataKey"] == {"Ref": "KeyArn"}
    assert set(condition_of("kms:GenerateDataKey")["StringEquals"]) == {"kms:ViaService"}


def test_the_token_is_read_where_one_is_named_and_no_other_secret_is() -> None:
    token = {"Ref": "HubTokenSecretArn"}
    [conditional] = [item["Fn::If"] for item in PROJECT["Environment"]["EnvironmentVariables"] if "Fn::If" in item]
    assert conditional[:2] == ["HasToken", {"Name": "HF_TOKEN", "Type": "SECRETS_MANAGER", "Value": token}]
    [policy] = BUILD.of("IAM::Role")["ProjectRole"]["Policies"]
    [conditional] = [s["Fn::If"] for s in policy["PolicyDocument"]["Statement"] if "Fn::If" in s]
    allowed = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": token}
    assert conditional[:2] == ["HasToken", allowed]


def test_there_is_no_project_where_both_image_and_weights_are_given() -> None:
    assert ROOT.resources["Build"]["Condition"] == "Builds"
    assert ROOT.document["Conditions"]["Builds"] == {"Fn::Or": [{"Condition": "OwnImage"}, {"Condition": "FromHub"}]}
    assert {ROOT.document["Outputs"][name]["Condition"] for name in ("BuildProject", "BuildLogGroup")} == {"Builds"}
