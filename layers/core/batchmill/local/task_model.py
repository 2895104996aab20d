"""What the embedded stack's ECS is made of: definitions, tasks and services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchmill.domain.errors import BatchmillError
from batchmill.local.containers import Container
from batchmill.local.moto_app import ACCOUNT, REGION

ARN_PREFIX = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
DEFAULT_STOP_SECONDS = 30.0


class NoSuchThing(BatchmillError):
    """A thing that is asked for does not exist. `kind`: cluster, service, task or task definition."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is no {kind} {name}")
        self.kind = kind


@dataclass(frozen=True)
class TaskDefinition:
    """A registered definition. `container` is the one container's, in CloudFormation's property names."""

    arn: str
    container: Mapping[str, Any]

    @property
    def stop_seconds(self) -> float:
        """What the container has between SIGTERM and SIGKILL."""
        return float(self.container.get("StopTimeout", DEFAULT_STOP_SECONDS))


@dataclass
class Task:
    """One run of a definition. `status` is ECS's: PENDING, RUNNING, STOPPED; times are seconds since 1970."""

    arn: str
    definition: TaskDefinition
    cluster: str
    service: str | None
    status: str = "PENDING"
    desired: str = "RUNNING"
    container: Container | None = None
    started_at: float = 0.0
    stopped_at: float = 0.0
    stop_reason: str = ""
    exit_code: int | None = None


@dataclass
class Service:
    """A service keeps `desired` tasks of its definition running. `delay` seconds pass before the next try."""

    name: str
    cluster: str
    definition: TaskDefinition
    desired: int
    arn: str
    delay: float = 0.0
    not_before: float = field(default=0.0, repr=False)
