"""Rate schedules: what they mean, what they send, when they run."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from aws_lambda_powertools.utilities.parser.models import EventBridgeModel

from batchmill.local.functions import FunctionNotFound, Invocation
from batchmill.local.schedules import Scheduler, UnsupportedSchedule, period
from support.waiting import until


class Recorder:
    """Functions that note their events; `fails` makes them end in a function error."""

    def __init__(self, fails: bool = False, missing: bool = False) -> None:
        self.events: list[tuple[str, bytes]] = []
        self.fails, self.missing = fails, missing

    def invoke(self, name: str, payload: bytes) -> Invocation:
        self.events.append((name, payload))
        if self.missing:
            raise FunctionNotFound(name)
        error = b'{"errorType": "Oops", "errorMessage": "no"}'
        return Invocation(error, "Unhandled") if self.fails else Invocation(b"null", None)

    def invoke_event(self, name: str, payload: bytes) -> str:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("expression", "every"),
    [
        ("rate(1 minute)", timedelta(minutes=1)),
        ("rate(5 minutes)", timedelta(minutes=5)),
        ("rate(1 hour)", timedelta(hours=1)),
        ("rate(2 days)", timedelta(days=2)),
    ],
)
def test_a_rate_is_a_period(expression: str, every: timedelta) -> None:
    assert period(expression) == every


@pytest.mark.parametrize(
    "expression",
    ["rate(1 minutes)", "rate(2 minute)", "rate(0 minutes)", "rate(30 seconds)", "cron(0 12 * * ? *)", "hourly"],
)
def test_what_aws_refuses_or_we_do_not_run_is_an_error(expression: str) -> None:
    with pytest.raises(UnsupportedSchedule):
        Scheduler(Recorder()).add("s", expression, "f", None)


def test_a_run_is_eventbridges_scheduled_event() -> None:
    functions = Recorder()
    scheduler = Scheduler(functions)
    scheduler.add("every-minute", "rate(1 minute)", "sweep", None)
    assert scheduler.fire("every-minute").function_error is None
    name, payload = functions.events[0]
    event = EventBridgeModel.model_validate_json(payload)
    assert (name, event.detail_type, event.source) == ("sweep", "Scheduled Event", "aws.events")
    assert event.resources == ["arn:aws:events:us-east-1:123456789012:rule/every-minute"]
    assert json.loads(payload)["detail"] == {}


def test_a_rules_own_input_replaces_the_event() -> None:
    functions = Recorder()
    scheduler = Scheduler(functions)
    scheduler.add("s", "rate(1 minute)", "sweep", '{"mode": "deep"}')
    scheduler.fire("s")
    assert functions.events == [("sweep", b'{"mode": "deep"}')]


def test_a_schedule_runs_again_and_again_though_it_fails() -> None:
    functions = Recorder(fails=True)
    scheduler = Scheduler(functions, speed=6000)
    scheduler.add("s", "rate(1 minute)", "sweep", None)
    scheduler.start()
    until(lambda: len(functions.events) >= 3)
    scheduler.stop()
    assert {name for name, _ in functions.events} == {"sweep"}


def test_a_schedule_of_a_function_that_is_gone_ends() -> None:
    functions = Recorder(missing=True)
    scheduler = Scheduler(functions, speed=6000)
    scheduler.add("s", "rate(1 minute)", "sweep", None)
    scheduler.start()
    until(lambda: not any(thread.name == "schedule-s" for thread in threading.enumerate()))
    assert len(functions.events) == 1


def test_the_speed_is_in_the_description() -> None:
    scheduler = Scheduler(Recorder(), speed=30)
    scheduler.add("every-minute", "rate(1 minute)", "sweep", None)
    assert scheduler.describe() == ["sweep every 2 s (every-minute)"]


def test_a_name_is_taken_once() -> None:
    scheduler = Scheduler(Recorder())
    scheduler.add("s", "rate(1 minute)", "sweep", None)
    with pytest.raises(ValueError, match="exists"):
        scheduler.add("s", "rate(1 minute)", "sweep", None)
