"""`pause` and `resume`, with the stack replaced."""

from __future__ import annotations

import json

import pytest

from batchmill import cli
from batchmill.client import StackClient
from batchmill.commands import pausing as commands
from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.batch import pausing as change
from unit.test_client import Setting

NOW = 5.0


class Stack(Setting):
    """A stack whose pause function does what it is asked."""

    def invoke(self, name: str, payload: bytes) -> bytes:
        asked = json.loads(payload)
        assert name == "pause-function"
        self.batches.change(asked["batch_id"], lambda old: change(old, asked["paused"], NOW))
        return b"{}"

    def connected(self, stack_name: str) -> StackClient:
        return self.client


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = Stack()
    monkeypatch.setattr(stack.calls, "invoke", stack.invoke)
    monkeypatch.setattr(commands, "connect", stack.connected)
    return stack


def test_a_batch_is_paused_and_resumed_and_its_state_told(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    batch_id = stack.batch().batch_id
    for command, said in (
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "in_progress"),
        ("resume", "in_progress"),
    ):
        assert cli.status([command, batch_id]) == 0
        assert capsys.readouterr().out == f"{batch_id}: {said}\n"


def test_a_program_reads_the_record(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    batch_id = stack.batch().batch_id
    assert cli.status(["pause", batch_id, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["paused"], told["times"]) == ("in_progress", True, {"paused": NOW})


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_batch_that_has_ended_is_a_mistake(stack: Stack, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended: Batch = stack.batch(BatchStatus.COMPLETED)
    assert cli.status([command, ended.batch_id]) == cli.MISTAKE
    assert capsys.readouterr().err == f"batchmill: cannot {command} a batch with status 'completed'\n"


def test_what_is_no_batch_is_a_mistake(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.status(["pause", "batch_" + "0" * 24]) == cli.MISTAKE
    assert "no batch" in capsys.readouterr().err
