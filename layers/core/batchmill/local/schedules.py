"""The schedule runner: EventBridge rules with a `rate(...)`, which moto keeps but never fires.

`cron(...)` is refused. Unlike EventBridge, runs of one schedule do not overlap: a run that takes longer than the
period makes the next one start at the next whole period. A failed run is logged; the next one is its retry.
"""

import json
import logging
import re
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from batchmill.local import bus
from batchmill.local.account import ACCOUNT, REGION
from batchmill.local.functions import FunctionNotFound, Invoker, ServiceStopped
from batchmill.local.runtime_api import Invocation

_RATE = re.compile(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
_log = logging.getLogger(__name__)


class UnsupportedSchedule(ValueError):
    """A schedule expression that the embedded stack does not run, or that AWS would refuse."""


def period(expression: str) -> timedelta:
    """Return the time between two runs of `rate(1 minute)` and the like; raise `UnsupportedSchedule` for others.

    As on AWS the unit is singular for 1, and plural for more.
    """
    if expression.startswith("cron("):
        raise UnsupportedSchedule(f"{expression}: the embedded stack runs rate(...) schedules only")
    found = _RATE.fullmatch(expression)
    if found is None:
        raise UnsupportedSchedule(f"{expression!r} is not rate(value unit)")
    value, unit = int(found.group(1)), found.group(2)
    if value < 1 or (value == 1) == unit.endswith("s"):
        raise UnsupportedSchedule(f"{expression}: a positive value, and the unit singular for 1 only")
    return value * timedelta(**{unit.rstrip("s") + "s": 1})


@dataclass(frozen=True)
class Schedule:
    """One rule: a function invoked every `every`, with `input_json` or else EventBridge's own event."""

    name: str
    every: timedelta
    function_name: str
    input_json: str | None

    def event(self) -> bytes:
        """Return the event of a run at this moment."""
        if self.input_json is not None:
            return self.input_json.encode()
        arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{self.name}"
        return json.dumps(bus.event("aws.events", "Scheduled Event", [arn], {})).encode()


class Scheduler:
    """Runs schedules, one thread each. With a `speed` of 30 a minute lasts two seconds."""

    def __init__(self, functions: Invoker, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"a speed of {speed} is not above 0")
        self._functions = functions
        self._speed = speed
        self._schedules: dict[str, Schedule] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def add(self, name: str, rate_expression: str, function_name: str, input_json: str | None = None) -> None:
        """Add a schedule before `start`; raises `UnsupportedSchedule`, or `ValueError` for a name that is taken."""
        if name in self._schedules:
            raise ValueError(f"schedule {name} exists")
        self._schedules[name] = Schedule(name, period(rate_expression), function_name, input_json)

    def describe(self) -> list[str]:
        """Return a line for each schedule, to be listed when the stack starts."""
        return [
            f"{schedule.function_name} every {schedule.every.total_seconds() / self._speed:g} s ({schedule.name})"
            for schedule in self._schedules.values()
        ]

    def start(self) -> None:
        """Begin: each schedule runs first when one period has passed."""
        for schedule in self._schedules.values():
            thread = threading.Thread(target=self._run, args=(schedule,), name=f"schedule-{schedule.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def fire(self, name: str) -> Invocation:
        """Run a schedule now, whether or not it was started, and return how it ended. Raises `KeyError`."""
        schedule = self._schedules[name]
        return self._functions.invoke(schedule.function_name, schedule.event())

    def stop(self) -> None:
        """Start no more runs. A run in flight is ended by stopping the functions."""
        self._stopping.set()

    def _run(self, schedule: Schedule) -> None:
        seconds = schedule.every.total_seconds() / self._speed
        due = time.monotonic() + seconds
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            try:
                outcome = self.fire(schedule.name)
            except (ServiceStopped, FunctionNotFound) as problem:
                _log.info("schedule %s ends: %s", schedule.name, problem)
                return
            if outcome.function_error is not None and not self._stopping.is_set():  # a stop ends runs in flight
                _log.warning("schedule %s: %s failed: %s: %s", schedule.name, schedule.function_name, *outcome.error())
            while due <= time.monotonic():
                due += seconds
