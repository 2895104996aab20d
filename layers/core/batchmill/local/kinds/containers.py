"""ECS: clusters, task definitions and services of `tasks`."""

from __future__ import annotations

from batchmill.local.host import Wanted
from batchmill.local.intrinsics import Made


def cluster(wanted: Wanted) -> Made:
    """AWS::ECS::Cluster."""
    name = wanted.name("ClusterName", 255)
    return Made(name, {"Arn": wanted.host.tasks.create_cluster(name)})


def task_definition(wanted: Wanted) -> Made:
    """AWS::ECS::TaskDefinition with one container."""
    family = wanted.name("Family", 255)
    arn = wanted.host.tasks.register(family, wanted.need("ContainerDefinitions"))
    return Made(arn, {"TaskDefinitionArn": arn})


def service(wanted: Wanted) -> Made:
    """AWS::ECS::Service: keeps DesiredCount workers, or as many as whoever started the stack wants."""
    desired = wanted.host.workers
    made = wanted.host.tasks.create_service(
        wanted.name("ServiceName", 255),
        wanted.get("Cluster", "default"),
        wanted.need("TaskDefinition"),
        int(wanted.get("DesiredCount", 1)) if desired is None else desired,
    )
    return Made(made.arn, {"Name": made.name, "ServiceArn": made.arn})
