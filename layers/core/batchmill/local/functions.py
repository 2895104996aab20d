"""The embedded Lambda: functions, their invocations, and the API in front of them."""

import logging
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from batchmill.local.async_events import AsyncEvents, DeadLetters
from batchmill.local.environment_logs import FunctionLog
from batchmill.local.environment_pool import EnvironmentPool, ServiceStopped
from batchmill.local.environments import RUNTIME, Environment, Host
from batchmill.local.function_spec import FunctionSpec, InvalidFunction, parse_reference
from batchmill.local.lambda_api import respond
from batchmill.local.runtime_api import Invocation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = [
    "FunctionNotFound",
    "FunctionService",
    "FunctionSpec",
    "InvalidFunction",
    "Invocation",
    "Invoker",
    "ServiceStopped",
]

STOP_SECONDS = 1.0
"""How long environments have between SIGTERM and SIGKILL when the service stops."""
_log = logging.getLogger(__name__)


class FunctionNotFound(LookupError):
    """There is no function of that name."""


class Invoker(Protocol):
    """What pollers and schedules need of the service."""

    def invoke(self, name: str, payload: bytes) -> Invocation:
        """Invoke and wait; raises `FunctionNotFound` or `ServiceStopped`."""
        ...

    def invoke_event(self, name: str, payload: bytes) -> str:
        """Queue an asynchronous invocation and return its request id; raises as `invoke` does."""
        ...


class FunctionService:
    """The Lambda service: a WSGI application (mount it as `lambda`), and the same in Python. Thread-safe.

    `endpoint_url` is what functions get as AWS_ENDPOINT_URL. With `log_dir` each function's log is also written to
    `<log_dir>/<name>.log`. `retry_seconds` are the pauses before the retries of a failed asynchronous invocation
    (AWS waits one and two minutes).
    """

    def __init__(
        self,
        endpoint_url: str,
        log_dir: Path | None = None,
        runtime: str = RUNTIME,
        retry_seconds: "Sequence[float]" = (1.0, 2.0),
        dead_letters: DeadLetters | None = None,
    ) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="batchmill-lambda-"))
        self._host = Host(endpoint_url, self._home, runtime)
        self._log_dir = log_dir
        self._specs: dict[str, FunctionSpec] = {}
        self._pools: dict[str, EnvironmentPool] = {}
        self._lock = threading.Lock()
        self._stopped = False
        letters = dead_letters or DeadLetters(endpoint_url)
        self._events = AsyncEvents(self.invoke, retry_seconds, letters)
        if log_dir is not None:
            log_dir.mkdir(parents=True, exist_ok=True)

    @property
    def runtime(self) -> str:
        """Which runtime the environments run: awslambdaric, or the stand-in."""
        return self._host.runtime

    def create(self, spec: FunctionSpec) -> str:
        """Add a function and return its ARN; no process is started before its first invocation.

        Raises `InvalidFunction` for what AWS would refuse, a name that is taken, or a folder that is not there.
        """
        spec.check()
        for folder in (spec.code_dir, *spec.layer_dirs):
            if not folder.is_dir():
                raise InvalidFunction(f"{spec.name}: there is no folder {folder}")
        log = FunctionLog(spec.name, self._log_dir)
        with self._lock:
            if spec.name in self._specs:
                raise InvalidFunction(f"function {spec.name} exists")
            self._specs[spec.name] = spec
            self._pools[spec.name] = EnvironmentPool(lambda: Environment(spec, self._host, log), spec.max_environments)
        return spec.arn

    def spec(self, name: str) -> FunctionSpec:
        """Return a function by name, partial ARN or ARN. Raises `FunctionNotFound` or `InvalidFunction`."""
        plain, qualifier = parse_reference(name)
        found = self._specs.get(plain)
        if found is None or qualifier not in ("", "$LATEST"):
            raise FunctionNotFound(name)
        return found

    def specs(self) -> list[FunctionSpec]:
        """Return every function, by name."""
        return [self._specs[name] for name in sorted(self._specs)]

    def pids(self) -> list[int]:
        """Return the process ids of all environments."""
        return [pid for pool in self._pools.values() for pid in pool.pids()]

    def warm(self, *names: str) -> None:
        """Start an environment of each of these functions now, in the background of whatever comes next.

        An import of boto3, Powertools and pydantic takes most of a second: functions that call one another's
        successors would each spend it in turn. Raises as `spec` does.
        """
        for name in names:
            self._pools[self.spec(name).name].warm()

    def invoke(self, name: str, payload: bytes) -> Invocation:
        """Invoke a function with a JSON event and wait; an empty payload is the event `{}`.

        A function that fails is an `Invocation` with `function_error`; raised are `FunctionNotFound`,
        `InvalidFunction` (the name) and `ServiceStopped`.
        """
        spec = self.spec(name)
        outcome = self._pools[spec.name].invoke(payload or b"{}")
        if outcome.function_error is not None:
            _log.info("function %s failed: %s: %s", spec.name, *outcome.error())
        return outcome

    def invoke_event(self, name: str, payload: bytes) -> str:
        """Queue an asynchronous invocation, as InvocationType Event, and return its request id.

        A function error is retried twice; then the event goes to the function's dead-letter queue, or is dropped
        with a line in the log. Raises as `invoke` does.
        """
        spec = self.spec(name)
        if self._stopped:
            raise ServiceStopped("the embedded Lambda is stopping")
        return self._events.put(spec.name, payload or b"{}", spec.dead_letter_arn)

    def stop(self) -> None:
        """End every environment (SIGTERM, after a second SIGKILL, to the process group) and forget queued events."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        self._events.begin_stop()
        for pool in self._pools.values():
            pool.begin_stop()
        deadline = time.monotonic() + STOP_SECONDS
        for pool in self._pools.values():
            pool.finish_stop(deadline)
        self._events.finish_stop()
        self._host.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        """Answer one request of Lambda's API."""
        return respond(self, environ)(environ, start_response)
