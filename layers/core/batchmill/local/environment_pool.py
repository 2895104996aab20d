"""The environments of one function: started when needed, used again, never more than its maximum."""

import threading
import time
import uuid
from collections.abc import Callable

from batchmill.local.environments import Environment, EnvironmentGone
from batchmill.local.runtime_api import Invocation

GROW_AFTER_SECONDS = 0.1
"""How long an invocation waits for a busy environment before one more is started: a start costs more than that."""
KEEP_IDLE_SECONDS = 60.0
"""How long an environment beyond the first is kept without work."""


class ServiceStopped(RuntimeError):
    """The service is being stopped and takes no more invocations."""


class EnvironmentPool:
    """Hands each invocation to a free environment; thread-safe.

    Unlike AWS, an invocation beyond the maximum waits instead of being throttled.
    """

    def __init__(self, start: Callable[[], Environment], maximum: int) -> None:
        self._start = start
        self._maximum = maximum
        self._all: list[Environment] = []
        self._idle: list[Environment] = []
        self._changed = threading.Condition()
        self._stopped = False

    def warm(self) -> None:
        """Start the first environment before it is needed, if there is none."""
        with self._changed:
            if not self._all and not self._stopped:
                environment = self._start()
                self._all.append(environment)
                self._idle.append(environment)

    def invoke(self, payload: bytes) -> Invocation:
        """Run one invocation and return how it ended. Raises `ServiceStopped`."""
        request_id = str(uuid.uuid4())
        while True:
            environment = self._acquire()
            try:
                return environment.invoke(payload, request_id)
            except EnvironmentGone:
                continue  # nobody has seen the event yet
            finally:
                self._release(environment)

    def pids(self) -> list[int]:
        """Return the process ids of the environments there are."""
        with self._changed:
            return [environment.pid for environment in self._all]

    def _acquire(self) -> Environment:
        waiting_since = time.monotonic()
        with self._changed:
            while not self._stopped:
                while self._idle:
                    environment = self._idle.pop()  # the one used last: the others may grow old and be ended
                    if environment.usable:
                        return environment
                    self._drop(environment)
                if self._may_grow(time.monotonic() - waiting_since):
                    environment = self._start()
                    self._all.append(environment)
                    return environment
                self._changed.wait(GROW_AFTER_SECONDS / 2)
        raise ServiceStopped("the embedded Lambda is stopping")

    def _may_grow(self, waited: float) -> bool:
        if not self._all:
            return True
        starting = any(not environment.ready for environment in self._all)
        return waited >= GROW_AFTER_SECONDS and not starting and len(self._all) < self._maximum

    def _release(self, environment: Environment) -> None:
        with self._changed:
            environment.idle_since = time.monotonic()
            if environment.usable and not self._stopped:
                self._idle.append(environment)
            elif environment in self._all:
                self._drop(environment)
            oldest = self._idle[0] if len(self._idle) > 1 else None
            if oldest is not None and time.monotonic() - oldest.idle_since > KEEP_IDLE_SECONDS:
                self._idle.pop(0)
                self._drop(oldest)
            self._changed.notify()

    def _drop(self, environment: Environment) -> None:
        self._all.remove(environment)
        environment.close()

    def begin_stop(self) -> None:
        """Take no more invocations and ask every process to end."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            environments = list(self._all)
        for environment in environments:
            environment.terminate()

    def finish_stop(self, deadline: float) -> None:
        """Kill what has not ended by `deadline` (of `time.monotonic`); returns when all processes have ended."""
        with self._changed:
            environments, self._all, self._idle = self._all, [], []
        for environment in environments:
            environment.wait(max(0.0, deadline - time.monotonic()))
            environment.close()
