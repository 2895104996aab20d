"""How environments are shared out, with environments that are no processes."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from batchmill.local import environment_pool
from batchmill.local.environment_pool import EnvironmentPool, ServiceStopped
from batchmill.local.environments import EnvironmentGone
from batchmill.local.runtime_api import Invocation
from support.waiting import until


class Fake:
    """An environment that answers with its number, when it is let."""

    numbers = itertools.count(1)

    def __init__(self) -> None:
        self.pid = next(self.numbers)
        self.usable, self.ready, self.gone = True, True, False
        self.idle_since = 0.0
        self.closed = False
        self.let = threading.Event()
        self.let.set()
        self.entered = threading.Event()

    def invoke(self, payload: bytes, request_id: str) -> Invocation:
        self.entered.set()
        self.let.wait()
        if self.gone:
            self.usable = False
            raise EnvironmentGone("f")
        return Invocation(str(self.pid).encode(), None, request_id)

    def terminate(self) -> None:
        self.let.set()

    def wait(self, seconds: float) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def started() -> list[Fake]:
    Fake.numbers = itertools.count(1)
    return []


def _pool(started: list[Fake], maximum: int = 4) -> EnvironmentPool:
    def start() -> Any:
        started.append(Fake())
        return started[-1]

    return EnvironmentPool(start, maximum)


def test_nothing_is_started_before_it_is_needed(started: list[Fake]) -> None:
    pool = _pool(started)
    assert pool.pids() == []
    assert [pool.invoke(b"").payload for _ in range(3)] == [b"1"] * 3
    assert pool.pids() == [1]


def test_a_warmed_environment_is_the_one_that_is_used(started: list[Fake]) -> None:
    pool = _pool(started)
    pool.warm()
    pool.warm()
    assert pool.pids() == [1]
    assert pool.invoke(b"").payload == b"1"


def test_an_environment_that_went_unnoticed_is_replaced_without_a_failure(started: list[Fake]) -> None:
    pool = _pool(started)
    pool.invoke(b"")
    started[0].gone = True
    assert pool.invoke(b"").payload == b"2"
    assert started[0].closed
    assert pool.pids() == [2]


def test_one_more_is_started_only_when_all_are_busy(started: list[Fake]) -> None:
    pool = _pool(started, maximum=2)
    pool.invoke(b"")
    started[0].let.clear()
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(pool.invoke, b""), threads.submit(pool.invoke, b"")
        until(lambda: first.done() or second.done())
        assert [f.result().payload for f in (first, second) if f.done()] == [b"2"]
        started[0].let.set()
    assert len(started) == 2


def test_one_that_was_idle_for_long_is_ended_unless_it_is_the_last(
    started: list[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = _pool(started)
    monkeypatch.setattr(environment_pool, "GROW_AFTER_SECONDS", 0.0)
    pool.warm()
    started[0].let.clear()
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(pool.invoke, b"")
        assert started[0].entered.wait(10)
        assert pool.invoke(b"").payload == b"2"
        started[0].let.set()
        busy.result()
    monkeypatch.setattr(environment_pool, "KEEP_IDLE_SECONDS", -1.0)
    pool.invoke(b"")
    assert len(pool.pids()) == 1
    pool.invoke(b"")
    assert len(pool.pids()) == 1


def test_a_stopped_pool_takes_nothing_and_keeps_nothing(started: list[Fake]) -> None:
    pool = _pool(started)
    pool.invoke(b"")
    pool.begin_stop()
    pool.finish_stop(0.0)
    assert started[0].closed
    assert pool.pids() == []
    with pytest.raises(ServiceStopped):
        pool.invoke(b"")
