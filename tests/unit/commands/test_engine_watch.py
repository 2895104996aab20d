from __future__ import annotations

import pytest

from batchmill.commands.engine_watch import EngineWatch


class Fixture:
    """A watch over a health that the test sets, and a clock that it moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.healthy = 0.0, True
        self.told: list[str] = []
        self.gave_up = 0
        monkeypatch.setattr("batchmill.commands.engine_watch.time.monotonic", lambda: self.now)
        self.watch = EngineWatch("http://engine/v1", "", self.told.append, self._give_up)

        async def healthy() -> bool:
            return self.healthy

        monkeypatch.setattr(self.watch, "_healthy", healthy)

    def _give_up(self) -> None:
        self.gave_up += 1

    def after(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now += 1
            self.watch.look()


def test_a_healthy_engine_is_not_spoken_of(monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = Fixture(monkeypatch)
    fixture.after(300)
    assert (fixture.told, fixture.gave_up) == ([], 0)


def test_an_engine_that_comes_back_in_time_is_told_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = Fixture(monkeypatch)
    fixture.healthy = False
    fixture.after(30)
    fixture.healthy = True
    fixture.after(30)
    assert [("does not answer" in line, "is back" in line) for line in fixture.told] == [(True, False), (False, True)]
    assert fixture.gave_up == 0


def test_an_engine_that_stays_away_ends_the_batch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = Fixture(monkeypatch)
    fixture.healthy = False
    fixture.after(300)
    assert fixture.gave_up == 1
    assert "cancelling" in fixture.told[-1]
