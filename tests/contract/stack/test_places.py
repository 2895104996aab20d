"""The project's own template with a network, an image and weights of the stack's own, or given: all of it resolves."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchmill.local.host import Deployment
from batchmill.local.intrinsics import TemplateError
from batchmill.local.stack import Stack, StackOptions

TEMPLATE = Path(__file__).parents[3] / "template.yaml"
GIVEN = {
    "VpcId": "vpc-0a1b",
    "SubnetIds": "subnet-0a1b,subnet-2c3d",
    "WorkerImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1",
    "Weights": "s3://mine/models/x/",
}


def deployed(**parameters: str) -> tuple[Deployment, dict[str, Deployment]]:
    """The stack and its nested ones, by logical id."""
    with Stack(StackOptions(TEMPLATE, {"Model": "org/model", **parameters}, workers=0)) as stack:
        stacks = stack.host.stacks
        nested = {name.split("-")[1]: found for name, found in stacks.items() if "-" in name}
        return stacks["batchmill"], nested


def test_an_empty_account_gets_a_network_an_image_and_weights() -> None:
    root, nested = deployed()
    assert set(nested) == {"Pool", "Network", "Build"}
    pool, network, build = nested["Pool"].parameters, nested["Network"].outputs, nested["Build"]
    assert (pool["VpcId"], pool["SubnetIds"]) == (network["VpcId"], network["SubnetIds"])
    assert len(pool["SubnetIds"].split(",")) == 3
    assert pool["WorkerImage"] == build.outputs["ImageUri"]
    assert pool["WorkerImage"].endswith(":v0.32.0-1-1")
    assert pool["Weights"] == build.parameters["Weights"] == f"s3://{root.outputs['DataBucket']}/models/org/model/main/"
    assert root.outputs["BuildProject"] == "batchmill-build"


def test_what_is_given_is_not_made() -> None:
    root, nested = deployed(**GIVEN)
    assert set(nested) == {"Pool"}
    assert {name: nested["Pool"].parameters[name] for name in GIVEN} == GIVEN
    assert "BuildProject" not in root.outputs


def test_weights_are_brought_for_an_image_that_is_given_too() -> None:
    _, nested = deployed(**{name: value for name, value in GIVEN.items() if name != "Weights"})
    assert nested["Build"].parameters["ImageTag"] == nested["Build"].outputs["ImageUri"] == ""
    assert nested["Pool"].parameters["WorkerImage"] == GIVEN["WorkerImage"]
    assert nested["Build"].parameters["Weights"] == nested["Pool"].parameters["Weights"]


@pytest.mark.parametrize(("zones", "endpoints"), [("2", "both"), ("4", "second")])
def test_a_network_has_as_many_zones_as_are_asked_for(zones: str, endpoints: str) -> None:
    _, nested = deployed(NetworkZones=zones, NetworkEndpoints=endpoints)
    assert len(nested["Network"].outputs["SubnetIds"].split(",")) == int(zones)


@pytest.mark.parametrize("left_out", ["VpcId", "SubnetIds"])
def test_a_network_is_given_whole_or_not_at_all(left_out: str) -> None:
    given = {name: value for name, value in GIVEN.items() if name != left_out}
    with pytest.raises(TemplateError, match="give both VpcId and SubnetIds, or neither"):
        deployed(**given)
