"""That workers in the stack's own network reach what they need, and nothing brings data out of the account."""

from __future__ import annotations

import re
from typing import Any

import pytest

from template.reading import NETWORK, POOL, ROOT, as_list, named

ENDPOINTS = {
    endpoint["ServiceName"]["Fn::Sub"].removeprefix("com.amazonaws.${AWS::Region}."): endpoint
    for endpoint in NETWORK.of("EC2::VPCEndpoint").values()
}
GATEWAYS = {"s3", "dynamodb"}
AGENT = {"ecs", "ecs-agent", "ecs-telemetry"}


def policy(service: str) -> list[dict[str, Any]]:
    """The statements of an endpoint's policy; none where it has AWS's, which lets all through."""
    found: list[dict[str, Any]] = ENDPOINTS[service].get("PolicyDocument", {}).get("Statement", [])
    return found


def wanted(service: str) -> set[str]:
    """What the pool's own roles do with a service."""
    actions = {action for _, s in POOL.statements() if s["Effect"] == "Allow" for action in as_list(s["Action"])}
    return {action for action in actions if action.startswith(f"{service}:")}


def test_there_is_no_way_to_the_internet() -> None:
    kinds = {resource["Type"].removeprefix("AWS::EC2::") for resource in NETWORK.resources.values()}
    assert kinds == {"VPC", "Subnet", "RouteTable", "SubnetRouteTableAssociation", "VPCEndpoint", "SecurityGroup"}
    assert not any(subnet.get("MapPublicIpOnLaunch") for subnet in NETWORK.of("EC2::Subnet").values())


def test_there_is_an_endpoint_for_every_service_that_a_worker_or_its_agent_calls_and_no_other() -> None:
    assert set(ENDPOINTS) == GATEWAYS | AGENT | {"ecr.api", "ecr.dkr", "logs", "sqs"}
    called = {action.partition(":")[0] for _, s in POOL.statements() for action in as_list(s["Action"])}
    # Roles are assumed by ECS and EC2 themselves; KMS is called by S3 and DynamoDB on a worker's behalf.
    assert called - {"sts", "kms"} == {name.partition(".")[0] for name in set(ENDPOINTS) - AGENT}


@pytest.mark.parametrize("service", sorted(set(ENDPOINTS) - GATEWAYS))
def test_an_interface_endpoint_takes_the_services_name_and_calls_over_tls_from_the_network(service: str) -> None:
    endpoint = ENDPOINTS[service]
    assert (endpoint["VpcEndpointType"], endpoint["PrivateDnsEnabled"]) == ("Interface", True)
    assert endpoint["SecurityGroupIds"] == [{"Ref": "EndpointSecurityGroup"}]
    assert named(endpoint["SubnetIds"]) >= {"Subnet1", "Subnet2"}
    [vpc] = NETWORK.of("EC2::VPC").values()
    assert vpc["EnableDnsSupport"] is vpc["EnableDnsHostnames"] is True


def test_the_endpoints_security_group_lets_in_tls_from_the_network_alone() -> None:
    [group] = NETWORK.of("EC2::SecurityGroup").values()
    [rule] = group["SecurityGroupIngress"]
    assert (rule["FromPort"], rule["ToPort"], rule["CidrIp"]) == (443, 443, {"Ref": "Cidr"})
    assert [rule["CidrIp"] for rule in group["SecurityGroupEgress"]] == ["127.0.0.1/32"]


@pytest.mark.parametrize("service", sorted(GATEWAYS))
def test_a_gateway_endpoint_is_in_the_table_that_every_subnet_has(service: str) -> None:
    assert ENDPOINTS[service]["VpcEndpointType"] == "Gateway"
    assert ENDPOINTS[service]["RouteTableIds"] == [{"Ref": "Routes"}]
    subnets = {
        association["SubnetId"]["Ref"] for association in NETWORK.of("EC2::SubnetRouteTableAssociation").values()
    }
    assert subnets == set(NETWORK.of("EC2::Subnet"))


@pytest.mark.parametrize("service", ["s3", "dynamodb", "sqs", "logs"])
def test_an_endpoints_policy_lets_through_what_workers_do_and_no_more(service: str) -> None:
    assert {action for statement in policy(service) for action in as_list(statement["Action"])} == wanted(service)


def test_nothing_is_written_outside_of_the_account() -> None:
    for service in ("dynamodb", "sqs", "logs"):
        assert all("${AWS::AccountId}" in statement["Resource"]["Fn::Sub"] for statement in policy(service))
    writing = [s for s in policy("s3") if any("Put" in action for action in as_list(s["Action"]))]
    assert [s["Condition"] for s in writing] == [{"StringEquals": {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}}]


def test_an_images_layers_can_be_read_wherever_aws_keeps_them() -> None:
    [reading] = [s for s in policy("s3") if "s3:GetObject" in as_list(s["Action"])]
    assert (reading["Resource"], "Condition" in reading) == ("*", False)
    assert not policy("ecr.api")
    assert not policy("ecr.dkr")


def test_the_zones_are_as_many_as_the_parameter_says() -> None:
    conditions = [resource.get("Condition") for resource in NETWORK.resources.values() if "Subnet" in resource["Type"]]
    assert sorted(filter(None, conditions)) == ["Fourth", "Fourth", "Third", "Third"]
    places = [subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in NETWORK.of("EC2::Subnet").values()]
    blocks = [subnet["CidrBlock"]["Fn::Select"][0] for subnet in NETWORK.of("EC2::Subnet").values()]
    assert places == blocks == [0, 1, 2, 3]


def test_workers_are_put_into_a_network_that_is_given_or_into_the_stacks_own() -> None:
    assert ROOT.resources["Network"]["Condition"] == "OwnNetwork"
    given = ROOT.of("Serverless::Application")["Pool"]["Parameters"]
    for name in ("VpcId", "SubnetIds"):
        condition, own, theirs = given[name]["Fn::If"]
        assert (condition, own, theirs) == ("OwnNetwork", {"Fn::GetAtt": ["Network", f"Outputs.{name}"]}, {"Ref": name})
        assert ROOT.document["Parameters"][name]["Default"] == ""


def test_a_network_without_its_subnets_is_refused_before_anything_is_made() -> None:
    [rule] = ROOT.document["Rules"].values()
    [assertion] = rule["Assertions"]
    assert named(assertion["Assert"]) == {"VpcId", "SubnetIds"}
    assert "both" in assertion["AssertDescription"]


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("VpcId", "vpc-0a1b2c3d4e5f", "my-network"),
        ("SubnetIds", "subnet-0a1b,subnet-2c3d", "subnet-0a1b, subnet-2c3d"),
        ("NetworkCidr", "10.64.0.0/20", "10.64.0.0/24"),
        ("EngineImage", "vllm/vllm-openai:v0.32.0", "vllm/vllm-openai@sha256:0123"),
        ("Weights", "s3://bucket/models/mine/", "s3://bucket/models/mine"),
        ("HubTokenSecretArn", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf", "hf_token"),
    ],
)
def test_a_parameter_that_cannot_be_right_is_refused_by_its_pattern(parameter: str, good: str, bad: str) -> None:
    pattern = ROOT.document["Parameters"][parameter]["AllowedPattern"]
    assert re.fullmatch(pattern, good)
    assert not re.fullmatch(pattern, bad)
