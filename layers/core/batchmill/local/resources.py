"""One table of resource types: who makes each in the embedded stack, or why it has no effect there.

    emulated   by this package
    moto       by moto, through boto3 as a deployment's own calls
    inert      by nobody: it gets a name, and is listed when the stack starts

Any other type is an error: a template must not seem to work here by leaving something out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from batchmill.local.host import Wanted
from batchmill.local.intrinsics import Made, TemplateError
from batchmill.local.kinds import containers, functions, messages, nested, rest, storage, workflows
from batchmill.local.kinds.inert import inert

How = Literal["emulated", "moto", "inert"]


@dataclass(frozen=True)
class Kind:
    """What becomes of one resource type. `why` says of an inert one what is missing."""

    how: How
    make: Callable[[Wanted], Made]
    why: str = ""


_PERMISSIONS = "no permission is checked here"
_NETWORK = "everything runs on this machine"
_SCALING = "a pool starts with as many workers as were asked for, and is woken where that is none"
_CAPACITY = "workers run on this machine"
_BUILDING = "workers run from their source"
_LOGS = "logs go to this program's own log"

KINDS: dict[str, Kind] = {
    "AWS::ApiGateway::Account": Kind("inert", inert(), _LOGS),
    "AWS::ApiGateway::Deployment": Kind("emulated", rest.deployment),
    "AWS::ApiGateway::RestApi": Kind("emulated", rest.api),
    "AWS::ApiGateway::Stage": Kind("emulated", rest.stage),
    "AWS::ApplicationAutoScaling::ScalableTarget": Kind("inert", inert(), _SCALING),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Kind("inert", inert(), _SCALING),
    "AWS::AutoScaling::AutoScalingGroup": Kind("inert", inert(name_property="AutoScalingGroupName"), _CAPACITY),
    "AWS::CloudFormation::Stack": Kind("emulated", nested.stack),
    "AWS::CloudWatch::Alarm": Kind(
        "inert",
        inert("arn:aws:cloudwatch:{region}:{account}:alarm:{name}", "AlarmName"),
        "no metric is kept here",
    ),
    "AWS::CodeBuild::Project": Kind(
        "inert", inert("arn:aws:codebuild:{region}:{account}:project/{name}", "Name", 150), _BUILDING
    ),
    "AWS::DynamoDB::Table": Kind("moto", storage.table),
    "AWS::EC2::LaunchTemplate": Kind("inert", inert(also="LatestVersionNumber"), _CAPACITY),
    "AWS::EC2::RouteTable": Kind("inert", inert(also="RouteTableId"), _NETWORK),
    "AWS::EC2::SecurityGroup": Kind("inert", inert(also="GroupId"), _NETWORK),
    "AWS::EC2::Subnet": Kind("inert", inert(also="SubnetId"), _NETWORK),
    "AWS::EC2::SubnetRouteTableAssociation": Kind("inert", inert(also="Id"), _NETWORK),
    "AWS::EC2::VPC": Kind("inert", inert(also="VpcId"), _NETWORK),
    "AWS::EC2::VPCEndpoint": Kind("inert", inert(also="Id"), _NETWORK),
    "AWS::ECR::Repository": Kind(
        "inert",
        inert("arn:aws:ecr:{region}:{account}:repository/{name}", "RepositoryName", 256, also="RepositoryUri"),
        _BUILDING,
    ),
    "AWS::ECS::CapacityProvider": Kind("inert", inert(name_property="Name"), _CAPACITY),
    "AWS::ECS::Cluster": Kind("emulated", containers.cluster),
    "AWS::ECS::ClusterCapacityProviderAssociations": Kind("inert", inert(), _CAPACITY),
    "AWS::ECS::Service": Kind("emulated", containers.service),
    "AWS::ECS::TaskDefinition": Kind("emulated", containers.task_definition),
    "AWS::Events::Rule": Kind("moto", messages.rule),
    "AWS::IAM::InstanceProfile": Kind("inert", inert("arn:aws:iam::{account}:instance-profile/{name}"), _PERMISSIONS),
    "AWS::IAM::ManagedPolicy": Kind(
        "inert", inert("arn:aws:iam::{account}:policy/{name}", "ManagedPolicyName", 128, ref="arn"), _PERMISSIONS
    ),
    "AWS::IAM::Policy": Kind("inert", inert(name_property="PolicyName", limit=128), _PERMISSIONS),
    "AWS::IAM::Role": Kind("inert", inert("arn:aws:iam::{account}:role/{name}", "RoleName", 64), _PERMISSIONS),
    "AWS::KMS::Alias": Kind("moto", storage.key_alias),
    "AWS::KMS::Key": Kind("moto", storage.key),
    "AWS::Lambda::Alias": Kind("emulated", functions.alias),
    "AWS::Lambda::EventInvokeConfig": Kind("inert", inert(), "a failed asynchronous call is retried twice"),
    "AWS::Lambda::EventSourceMapping": Kind("emulated", functions.event_source_mapping),
    "AWS::Lambda::Function": Kind("emulated", functions.function),
    "AWS::Lambda::LayerVersion": Kind("emulated", functions.layer),
    "AWS::Lambda::Permission": Kind("emulated", rest.permission),
    "AWS::Lambda::Version": Kind("emulated", functions.version),
    "AWS::Logs::LogGroup": Kind(
        "inert", inert("arn:aws:logs:{region}:{account}:log-group:{name}:*", "LogGroupName", 512), _LOGS
    ),
    "AWS::S3::Bucket": Kind("moto", storage.bucket),
    "AWS::S3::BucketPolicy": Kind("inert", inert(), _PERMISSIONS),
    "AWS::SNS::Subscription": Kind("moto", messages.subscription),
    "AWS::SNS::Topic": Kind("moto", messages.topic),
    "AWS::SNS::TopicPolicy": Kind("inert", inert(), _PERMISSIONS),
    "AWS::SQS::Queue": Kind("moto", messages.queue),
    "AWS::SQS::QueuePolicy": Kind("inert", inert(), _PERMISSIONS),
    "AWS::Scheduler::Schedule": Kind("emulated", messages.schedule),
    "AWS::SecretsManager::Secret": Kind("moto", storage.secret),
    "AWS::StepFunctions::StateMachine": Kind("moto", workflows.state_machine),
}


def kind_of(logical_id: str, resource_type: str) -> Kind:
    """What becomes of a resource. Raises TemplateError, naming id and type, where the table does not say."""
    if resource_type not in KINDS:
        raise TemplateError(f"{logical_id}: the embedded stack has no {resource_type}")
    return KINDS[resource_type]
