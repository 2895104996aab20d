"""`run`, with the stack replaced: what it does around one."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batchmill import cli
from batchmill.client import Downloaded, Snapshot
from batchmill.commands import run as command
from batchmill.domain.batch import Batch, BatchStatus, Counts, Problem
from batchmill.domain.errors import BatchNotFound, Transient
from batchmill.domain.shard import Progress

BATCH_ID = "batch_" + "0" * 24
RUNNING = Batch(BATCH_ID, BatchStatus.IN_PROGRESS, {}, (), 0.0, 9e9, shards=1, counts=Counts(total=2))


class FakeStack:
    """Embedded stack and client in one. `life` are the batch's states, one a poll; an error in it is raised."""

    def __init__(self) -> None:
        self.life: list[Batch | BaseException | None] = []
        self.stopped = 0
        self.cancelled: list[str] = []
        self.submitted: list[tuple[list[str], Any]] = []
        self.options: Any = None
        self.stack = SimpleNamespace(client=None)
        self.at_poll: Callable[[], None] = lambda: None

    def start(self) -> SimpleNamespace:
        return SimpleNamespace(deployment=SimpleNamespace(name="batchmill"), engine_url="http://127.0.0.1:9/v1")

    def stop(self) -> None:
        self.stopped += 1

    def submit(self, inputs: list[str], spec: Any) -> str:
        self.submitted.append((inputs, spec))
        return BATCH_ID

    def snapshot(self, batch_id: str, now: float) -> Snapshot:
        self.at_poll()
        state = self.life.pop(0) if len(self.life) > 1 else self.life[0]
        if isinstance(state, BaseException):
            raise state
        return Snapshot(batch_id, now, state, 2, Progress(1, 0, 3, 0), {})

    def cancel(self, batch_id: str) -> None:
        self.cancelled.append(batch_id)
        self.life = [replace(RUNNING, status=BatchStatus.CANCELLED)]

    def download(self, batch: Batch, folder: Path) -> Downloaded:
        return Downloaded(folder, (), None)


def press_once() -> Callable[[], None]:
    """Ctrl-C, the first time it is called."""
    left = [signal.SIGINT]

    def press() -> None:
        if left:
            os.kill(os.getpid(), left.pop())

    return press


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStack]:
    fake = FakeStack()

    def embedded(options: Any, tell: object) -> FakeStack:
        fake.options = options
        return fake

    monkeypatch.setattr(command, "Embedded", embedded)
    monkeypatch.setattr(command, "connect", lambda *_: fake)
    monkeypatch.setattr("batchmill.commands.following.POLL_S", 0.0)
    yield fake
    assert fake.stopped == 1


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    table = tmp_path / "t.csv"
    table.write_text("id,body\n1,b\n")
    return ["run", str(table), "--endpoint", "/v1/embeddings", "--input", "{{ body }}", "-o", str(tmp_path / "out")]


def test_a_completed_batch_exits_0_with_its_summary(
    stack: FakeStack, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stack.life = [None, RUNNING, replace(RUNNING, status=BatchStatus.COMPLETED, counts=Counts(2, 2, 0))]
    assert cli.status(arguments) == 0
    told = capsys.readouterr()
    assert "completed: " + BATCH_ID in told.out
    assert "in_progress" in told.err


@pytest.mark.parametrize("status", [BatchStatus.FAILED, BatchStatus.EXPIRED, BatchStatus.CANCELLED])
def test_a_batch_that_did_not_complete_exits_1_and_says_why(
    status: BatchStatus, stack: FakeStack, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stack.life = [replace(RUNNING, status=status, problems=(Problem("empty_file", "no rows"),))]
    assert cli.status(arguments) == 1
    assert "empty_file: no rows" in capsys.readouterr().out


def test_json_is_one_document_alone_on_standard_output(
    stack: FakeStack, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stack.life = [replace(RUNNING, status=BatchStatus.COMPLETED, counts=Counts(2, 1, 1))]
    assert cli.status([*arguments, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["batch_id"], data["status"], data["ok"], data["errors"]) == (BATCH_ID, "completed", 1, 1)


def test_quiet_says_nothing_but_the_summary(
    stack: FakeStack, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stack.life = [RUNNING, replace(RUNNING, status=BatchStatus.COMPLETED)]
    assert cli.status([*arguments, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_a_passing_trouble_of_the_stack_is_no_end(stack: FakeStack, arguments: list[str]) -> None:
    stack.life = [Transient("busy"), RUNNING, Transient("busy"), replace(RUNNING, status=BatchStatus.COMPLETED)]
    assert cli.status(arguments) == 0


def test_ctrl_c_cancels_the_batch_and_exits_130(
    stack: FakeStack, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stack.life = [RUNNING]
    stack.at_poll = press_once()
    assert cli.status(arguments) == 130
    assert stack.cancelled == [BATCH_ID]
    told = capsys.readouterr()
    assert told.out == ""
    assert f"cancelled {BATCH_ID}" in told.err


def test_ctrl_c_before_the_batch_began_ends_without_a_word_of_error(
    stack: FakeStack, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def not_there(_: str) -> None:
        raise BatchNotFound("no such batch")

    stack.life = [None]
    stack.at_poll = press_once()
    monkeypatch.setattr(stack, "cancel", not_there)
    assert cli.status(arguments) == 130
    assert "before the batch began" in capsys.readouterr().err


def test_an_error_still_stops_the_stack(stack: FakeStack, arguments: list[str]) -> None:
    stack.life = [BatchNotFound("lost")]
    assert cli.status(arguments) == 2


def test_the_options_reach_stack_and_spec(
    stack: FakeStack, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sesame")
    stack.life = [replace(RUNNING, status=BatchStatus.COMPLETED)]
    more = ["--engine", "http://127.0.0.1:1/v1", "--engine-key-env", "MY_KEY", "--workers", "3", "--window", "7"]
    assert cli.status([*arguments, *more, "--shard-rows", "5", "--params", "dimensions=8", "--columns", "id"]) == 0
    options = stack.options
    assert (options.engine_url, options.engine_key, options.workers, options.window) == (
        "http://127.0.0.1:1/v1",
        "sesame",
        3,
        7,
    )
    ((inputs, spec),) = stack.submitted
    assert inputs == [arguments[1]]
    assert (spec.shard_rows, spec.params, spec.columns) == (5, {"dimensions": 8}, ["id"])
