"""The embedded stack, whole: a template deployed onto services of this machine, running until it is stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import batchmill
from batchmill.domain.webhook import LOOPBACK
from batchmill.local.cloudformation_api import CloudFormationApi
from batchmill.local.deploy import deploy
from batchmill.local.ecs_api import EcsApi
from batchmill.local.functions import FunctionService
from batchmill.local.host import Deployment, Host
from batchmill.local.keeping.bringing import bring_back
from batchmill.local.keeping.folder import DataFolder
from batchmill.local.keeping.secrets import kept_secrets
from batchmill.local.kinds.storage import read_secret
from batchmill.local.moto_app import REGION
from batchmill.local.pollers import QueuePoller
from batchmill.local.rest.service import RestService
from batchmill.local.router import ACCESS_KEY, SECRET_KEY, Router
from batchmill.local.schedules import Scheduler
from batchmill.local.tasks import TaskService

STACK_NAME = "batchmill"
STOP_SECONDS = 20.0
"""How long workers have to checkpoint and end by themselves when the stack stops."""

# A worker keeps the shell's variables but these: no account of the user's, and no stale setting, reaches it.
_KEPT_BACK = ("AWS_", "BATCHMILL_")


@dataclass(frozen=True)
class StackOptions:
    """What to deploy, and how.

    `workers`, where given, overrides every service's DesiredCount. `environment` wins over the variables of every
    function and container. `speed` shortens schedules: at 30 a minute lasts two seconds. Ports are those of the AWS
    endpoint and of the REST API; 0 takes a free one.
    `log_folder` gets a file for each function and each task. `data_folder` keeps objects, table items and secrets:
    they come back, and interrupted batches go on. It outlives a killed process, not a power cut. None: memory only.
    """

    template: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    speed: float = 1.0
    port: int = 0
    api_port: int = 0
    log_folder: Path | None = None
    data_folder: Path | None = None


class Stack:
    """A context manager: `start` on entry, `stop` on exit. `on_event` is called with lines for a person."""

    def __init__(self, options: StackOptions, on_event: Callable[[str], None] | None = None) -> None:
        self._options = options
        self._tell = on_event or _silence
        self._exits = ExitStack()
        self._host: Host | None = None
        self.endpoint_url = ""

    def start(self) -> Deployment:
        """Starts the services, deploys the template, and sets pollers, schedules and workers going.

        Raises TemplateError for a template that cannot be deployed, OSError for a port that is taken,
        DataFolderUnusable; whatever it raises, nothing is left running.
        """
        try:
            folder = self._open_folder()
            host = self._host = self._start_services(kept_secrets(folder) if folder is not None else {})
            self._tell(f"deploying {self._options.template.name}")
            deployment = deploy(self._options.template, self._options.parameters, host, STACK_NAME)
            if folder is not None:
                bring_back(folder, host, deployment, self._tell)
                # Called once workers and pollers have stopped: how executions end after that is kept out of the folder.
                self._exits.callback(folder.close)
            self._start_moving(host)
        except BaseException:  # also a Ctrl-C: nothing may be left running
            self.stop()
            raise
        self._tell(f"ready at {self.endpoint_url}: {len(deployment.resources)} resources")
        return deployment

    def stop(self) -> None:
        """Ends all in reverse order: workers, schedules, pollers, functions, services. Again: does nothing."""
        self._exits.close()

    def client(self, service: str) -> Any:
        """A boto3 client of the stack. Raises RuntimeError where it does not run."""
        return self.host.client(service)

    @property
    def host(self) -> Host:
        """The services underneath, for tests and the command line. Raises RuntimeError before the start."""
        if self._host is None:
            raise RuntimeError("the embedded stack is not started")
        return self._host

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _open_folder(self) -> DataFolder | None:
        if self._options.data_folder is None:
            return None
        folder = DataFolder(self._options.data_folder)
        self._exits.callback(folder.close)  # also where the start fails
        return folder

    def _start_services(self, secrets: Mapping[str, str]) -> Host:
        options, router = self._options, Router()
        clients = self._exits.enter_context(ExitStack())  # closed last: a poll may still wait for its answer
        self._exits.callback(router.stop)
        self.endpoint_url = router.start(options.port)
        functions = FunctionService(self.endpoint_url, options.log_folder)
        self._exits.callback(functions.stop)
        rest = RestService(functions)
        self._exits.callback(rest.stop)
        rest.start(options.api_port)
        tasks = TaskService(
            project=options.template.resolve().parent,
            environment=worker_environment(os.environ, self.endpoint_url),
            read_secret=lambda value_from: read_secret(host.client("secretsmanager"), value_from),
            log_folder=options.log_folder,
            overrides=options.environment,
        )
        host = Host(
            router=router,
            rest=rest,
            functions=functions,
            scheduler=Scheduler(functions, options.speed),
            tasks=tasks,
            # Receivers of webhooks on this machine may be called here, and only here: no template says so.
            environment={"BATCHMILL_WEBHOOK_ALLOW": " ".join(sorted(LOOPBACK)), **options.environment},
            workers=options.workers,
            secrets=secrets,
        )
        clients.callback(host.close)
        router.mount("lambda", functions)
        router.mount("ecs", EcsApi(tasks))
        router.mount("cloudformation", CloudFormationApi(host.stacks))
        return host

    def _start_moving(self, host: Host) -> None:
        pollers = [
            QueuePoller(mapping, host.client("sqs"), host.functions, concurrency)
            for mapping, concurrency in host.mappings
        ]
        self._exits.callback(_stop_together, pollers)
        for poller in pollers:
            poller.start()
        self._exits.callback(host.scheduler.stop)
        host.scheduler.start()
        for line in host.scheduler.describe():
            self._tell(f"schedule: {line}")
        self._exits.callback(host.tasks.stop, STOP_SECONDS)
        host.tasks.start()


def worker_environment(inherited: Mapping[str, str], endpoint_url: str) -> dict[str, str]:
    """The variables that every worker starts from: the shell's, less its AWS ones, and the stack's own."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(_KEPT_BACK)}
    direct = ",".join(filter(None, (inherited.get("NO_PROXY"), inherited.get("no_proxy"), "127.0.0.1,localhost")))
    package = str(Path(batchmill.__file__).resolve().parents[1])
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint_url,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "PYTHONPATH": os.pathsep.join(filter(None, (package, inherited.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
    }


def _stop_together(pollers: list[QueuePoller]) -> None:
    """Each waits for its invocations in flight: all at once, not one after the other."""
    with ThreadPoolExecutor(max(1, len(pollers))) as pool:
        list(pool.map(QueuePoller.stop, pollers))


def _silence(_line: str) -> None:
    """Nobody listens."""
