"""That a pool's instances fit its workers, and its engine fits the instances."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

import pytest

from template.reading import POOL, ROOT

[TASK] = POOL.of("ECS::TaskDefinition").values()
[CONTAINER] = TASK["ContainerDefinitions"]
ENVIRONMENT = {item["Name"]: item["Value"] for item in CONTAINER["Environment"]}
[TEMPLATE] = (item["LaunchTemplateData"] for item in POOL.of("EC2::LaunchTemplate").values())
[GROUP] = POOL.of("AutoScaling::AutoScalingGroup").values()
[OVERRIDE] = GROUP["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
REQUIRED: dict[str, Any] = OVERRIDE["InstanceRequirements"]
SIZES = ["GpuMemoryMiB", "MemoryMiB", "SharedMemoryMiB", "DiskGiB", "StreamBufferBytes"]


def test_the_engine_takes_the_longest_context_that_fits_unless_it_is_told_another() -> None:
    command = ENVIRONMENT["BATCHMILL_ENGINE_COMMAND"]["Fn::Sub"][0]
    assert "--max-model-len auto " in command
    assert command.endswith("${EngineArguments}")  # of a flag that is given twice, the last one counts


def test_weights_are_streamed_through_memory_that_an_instance_has() -> None:
    assert ENVIRONMENT["RUNAI_STREAMER_MEMORY_LIMIT"] == {"Ref": "StreamBufferBytes"}
    declared = ROOT.document["Parameters"]
    assert int(declared["PoolStreamBufferBytes"]["Default"]) < declared["PoolMemoryMiB"]["Default"] * 2**20 / 2


@pytest.mark.parametrize("name", SIZES)
def test_the_sizes_of_a_pool_can_be_said_and_have_one_default(name: str) -> None:
    assert ROOT.of("Serverless::Application")["Pool"]["Parameters"][name] == {"Ref": f"Pool{name}"}
    assert ROOT.document["Parameters"][f"Pool{name}"]["Default"] == POOL.document["Parameters"][name]["Default"]


def test_a_worker_has_as_many_gpus_as_there_are_instances_with() -> None:
    assert ROOT.document["Parameters"]["PoolGpus"]["AllowedValues"] == [1, 4, 8]
    assert POOL.document["Parameters"]["Gpus"]["AllowedValues"] == [1, 4, 8]
    assert REQUIRED["AcceleratorCount"] == {"Min": {"Ref": "Gpus"}, "Max": {"Ref": "Gpus"}}


@pytest.mark.parametrize(
    "kind", ["g3.4xlarge", "g3s.xlarge", "g4dn.12xlarge", "p2.xlarge", "p3.2xlarge", "p3dn.24xlarge"]
)
def test_instances_whose_gpus_the_engine_cannot_use_are_left_out(kind: str) -> None:
    assert [pattern for pattern in REQUIRED["ExcludedInstanceTypes"] if fnmatch(kind, pattern)]


@pytest.mark.parametrize(
    "kind", ["g5.xlarge", "g6.xlarge", "g6e.12xlarge", "p4d.24xlarge", "p5.48xlarge", "p5en.48xlarge"]
)
def test_instances_whose_gpus_it_can_use_are_not(kind: str) -> None:
    assert not [pattern for pattern in REQUIRED["ExcludedInstanceTypes"] if fnmatch(kind, pattern)]


def test_no_container_gets_at_the_instances_role() -> None:
    assert TEMPLATE["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    assert "\nECS_AWSVPC_BLOCK_IMDS=true\n" in TEMPLATE["UserData"]["Fn::Base64"]["Fn::Sub"]


def test_instances_join_the_pools_own_cluster_and_tell_it_of_their_end() -> None:
    script = TEMPLATE["UserData"]["Fn::Base64"]["Fn::Sub"]
    assert "\nECS_CLUSTER=${Cluster}\n" in script
    assert "\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n" in script
    [association] = POOL.of("ECS::ClusterCapacityProviderAssociations").values()
    assert association["CapacityProviders"] == [{"Ref": "Capacity"}]


def test_a_disk_is_fast_enough_for_an_image_of_ten_gigabytes() -> None:
    [disk] = TEMPLATE["BlockDeviceMappings"]
    assert (disk["Ebs"]["VolumeType"], disk["Ebs"]["Throughput"]) == ("gp3", 500)


def test_no_worker_is_moved_to_another_zone_while_it_works() -> None:
    [service] = POOL.of("ECS::Service").values()
    assert service["AvailabilityZoneRebalancing"] == "DISABLED"
