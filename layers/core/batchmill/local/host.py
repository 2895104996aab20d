"""What a stack is deployed onto: the embedded services, and what its resources leave there to be started."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchmill.local.functions import FunctionService
from batchmill.local.intrinsics import TemplateError
from batchmill.local.pollers import QueueMapping
from batchmill.local.rest.service import RestService
from batchmill.local.router import Router
from batchmill.local.schedules import Scheduler
from batchmill.local.tasks import TaskService
from batchmill.local.translate import Template

_SUFFIX = 12


@dataclass(frozen=True)
class Deployment:
    """A deployed stack.

    `resources`: logical id to physical id (what `Ref` gives); a nested stack's are `Pool/Queue`.
    `notes`: a line for each thing of the template that has no effect here, to be listed at start.
    """

    name: str
    stack_id: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    notes: list[str]


@dataclass
class Host:
    """The embedded services. `environment` is put over the variables of every function and container.

    `workers`, where given, is how many tasks every service keeps, whatever its DesiredCount. `secrets` are the texts
    that generated secrets had in a past life of the stack, by name. The lists are what
    the deployed resources ask for: the stack starts a poller for each mapping once all resources exist.
    """

    router: Router
    rest: RestService
    functions: FunctionService
    scheduler: Scheduler
    tasks: TaskService
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    mappings: list[tuple[QueueMapping, int]] = field(default_factory=list)
    layers: dict[str, Path] = field(default_factory=dict)
    stacks: dict[str, Deployment] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A boto3 client of the router, kept for the next who asks."""
        if service not in self._clients:
            self._clients[service] = self.router.client(service)
        return self._clients[service]

    def close(self) -> None:
        """Closes the clients."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()


@dataclass(frozen=True)
class Wanted:
    """One resource to make: its properties have no functions left in them.

    `nested` deploys a template as a stack inside this one (path, parameters, logical id); `notes` takes lines for
    whoever starts the stack.
    """

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    stack: str
    template: Template
    host: Host
    nested: Callable[[Path, Mapping[str, str], str], Deployment]
    notes: list[str]

    def get(self, name: str, default: Any = None) -> Any:
        """A property, or the default."""
        return self.properties.get(name, default)

    def need(self, name: str) -> Any:
        """A property that must be there. Raises TemplateError."""
        if name not in self.properties:
            raise TemplateError(f"the property {name} is missing")
        return self.properties[name]

    def refuse(self, *names: str) -> None:
        """Raises TemplateError for the first of these properties that is there: it would have no effect here."""
        for name in names:
            if self.properties.get(name):
                raise TemplateError(f"the embedded stack does not do {name}")

    def name(self, prop: str | None = None, limit: int = 255, lower: bool = False) -> str:
        """The physical name: as the property says, else made up as CloudFormation does. Raises TemplateError."""
        given = self.get(prop) if prop else None
        name = str(given) if given else physical_name(self.stack, self.logical_id, limit)
        if len(name) > limit:
            raise TemplateError(f"the name {name} is longer than {limit} characters")
        return name.lower() if lower and not given else name


def physical_name(stack: str, logical_id: str, limit: int) -> str:
    """`<stack>-<logical id>-<suffix>`, both cut where it would be over the limit; the same for the same two."""
    digest = hashlib.sha256(f"{stack}/{logical_id}".encode()).hexdigest()
    room = limit - _SUFFIX - 2
    own = logical_id[: max(room // 2, room - len(stack))]
    return f"{stack[: room - len(own)]}-{own}-{digest[:_SUFFIX].upper()}"
