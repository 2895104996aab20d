"""`submit`, `watch` and `status`, with the stack replaced: what they ask of it, and what they say of its batch."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchmill import cli
from batchmill.client import Snapshot
from batchmill.contracts.manifest import Manifest
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.batch import Batch, BatchStatus, Counts
from batchmill.domain.errors import Transient
from batchmill.domain.shard import Progress

BATCH_ID = "batch_" + "0" * 24
ENDED = Batch(BATCH_ID, BatchStatus.COMPLETED, {}, (), 0.0, 9e9, shards=1, counts=Counts(10, 3, 7))
CODES = {"engine_rejected": 5, "invalid_json": 2}


def manifest(codes: Mapping[str, int]) -> Manifest:
    counts = dict.fromkeys(("run", "rows", "ok", "errors", "prompt_tokens", "completion_tokens", "bytes"), 0)
    texts = dict.fromkeys(("batchmill", "batch_id", "status", "endpoint", "model", "created_at", "finished_at"), "")
    lists: dict[str, Any] = dict.fromkeys(("columns", "inputs", "files"), ())
    return Manifest.model_validate({**counts, **texts, **lists, "error_codes": codes})


class FakeStack:
    """A stack with one batch that has ended. An error in the place of its manifest is raised."""

    def __init__(self) -> None:
        self.batch = ENDED
        self.told: Manifest | Exception | None = manifest(CODES)
        self.submitted: list[BatchSpec] = []
        self.read = 0

    def submit(self, inputs: list[str], spec: BatchSpec) -> str:
        self.submitted.append(spec)
        return BATCH_ID

    def get(self, batch_id: str) -> Batch:
        return self.batch

    def snapshot(self, batch_id: str, now: float) -> Snapshot:
        return Snapshot(batch_id, now, self.batch, 10, Progress(3, 7, 0, 0), {})

    def manifest(self, batch: Batch) -> Manifest | None:
        self.read += 1
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    fake = FakeStack()
    for name in ("submit", "watch", "status"):
        monkeypatch.setattr(f"batchmill.commands.{name}.connect", lambda *_: fake)
    return fake


@pytest.fixture
def submit(tmp_path: Path) -> list[str]:
    table = tmp_path / "t.csv"
    table.write_text("id,body\n1,b\n")
    return ["submit", str(table), "--endpoint", "/v1/embeddings", "--input", "{{ body }}"]


def commands(submit: list[str]) -> list[list[str]]:
    """Those that say how a batch ended."""
    return [[*submit, "--wait", "-q"], ["watch", BATCH_ID, "-q"], ["status", BATCH_ID]]


def test_a_webhook_reaches_the_spec_whoever_may_be_called(stack: FakeStack, submit: list[str]) -> None:
    for url in ("https://hooks.example.com/batchmill", "http://127.0.0.1:8123/hook"):
        assert cli.status([*submit, "--webhook-url", url]) == 0
        assert stack.submitted.pop().webhook_url == url


def test_a_webhook_wins_over_the_profiles(stack: FakeStack, submit: list[str], tmp_path: Path) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text("webhook_url: https://hooks.example.com/old\n")
    assert cli.status([*submit, "--profile", str(profile)]) == 0
    assert cli.status([*submit, "--profile", str(profile), "--webhook-url", "https://hooks.example.com/new"]) == 0
    assert [spec.webhook_url for spec in stack.submitted] == [f"https://hooks.example.com/{x}" for x in ("old", "new")]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://hooks.example.com/x", "begins with https://"),
        ("https://10.0.0.1/x", "a name, not an address"),
        ("https://hooks.example.com:8443/x", "at port 443 only"),
        ("hooks", "begins with https://"),
    ],
)
def test_a_webhook_that_may_not_be_called_is_refused_before_anything_is_sent(
    stack: FakeStack, submit: list[str], url: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.status([*submit, "--webhook-url", url]) == 2
    told = capsys.readouterr().err
    assert told.startswith("batchmill: --webhook-url: ")
    assert said in told
    assert stack.submitted == []


def test_a_run_takes_no_webhook_for_its_stack_ends_with_it(
    submit: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.status(["run", *submit[1:], "-o", str(tmp_path), "--webhook-url", "https://hooks.example.com/x"]) == 2
    assert "--webhook-url" in capsys.readouterr().err


def test_who_asks_how_a_batch_ended_is_told_what_failed(
    stack: FakeStack, submit: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for command in commands(submit):
        assert cli.status(command) == 0
        told = capsys.readouterr().out
        assert "5 x engine_rejected" in told
        assert "2 x invalid_json" in told


def test_a_program_is_told_what_failed(stack: FakeStack, submit: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands(submit):
        assert cli.status([*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["errors_by_code"] == CODES


def test_where_nothing_failed_no_manifest_is_read(stack: FakeStack, submit: list[str]) -> None:
    stack.batch = replace(ENDED, counts=Counts(10, 10, 0))
    assert [cli.status(command) for command in commands(submit)] == [0, 0, 0]
    assert stack.read == 0


@pytest.mark.parametrize(("told", "notes"), [(None, 0), (Transient("no manifest that this version reads"), 1)])
def test_a_manifest_that_is_not_there_or_cannot_be_read_hides_nothing_else(
    told: Exception | None, notes: int, stack: FakeStack, submit: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stack.told = told
    for command in commands(submit):
        assert cli.status(command) == 0
        said = capsys.readouterr()
        assert "10: 3 ok, 7 error" in said.out
        assert said.err.count("cannot be told") == notes
