from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import pytest

from batchmill.contracts.callback import CALLBACK_LIMIT, CallbackMessage, ChannelName
from batchmill.domain.batch import Batch, BatchStatus, Counts, Input, Problem
from batchmill.domain.errors import BatchmillError, Transient, WebhookRefused
from batchmill.ports.notifier import Callback
from batchmill.steps.callbacks.outbox import Outbox
from batchmill.steps.callbacks.telling import told
from batchmill.steps.notify import Notify
from fakes.batches import MemoryBatches
from fakes.clock import FakeClock
from fakes.queue import MemoryQueue
from support.told import BATCH_ID

QUEUE = "https://queue/callbacks"
URL = "https://hooks.example.com/done?token=hidden"


@dataclass
class Channel:
    """Keeps what it delivers, or raises `trouble`."""

    trouble: BatchmillError | None = None
    delivered: list[Callback] = field(default_factory=list)

    def deliver(self, callback: Callback) -> None:
        if self.trouble:
            raise self.trouble
        self.delivered.append(callback)


class Setting:
    """The step over an outbox that holds one batch's messages."""

    def __init__(self, batch: Batch) -> None:
        self.clock, self.batches = FakeClock(), MemoryBatches()
        self.queue = MemoryQueue(self.clock)
        self.batches.create(batch)
        self.channels: dict[ChannelName, Channel] = {"event": Channel(), "sns": Channel(), "webhook": Channel()}
        self.notify = Notify(self.batches, self.queue, dict(self.channels), lambda: 0.5, QUEUE, "data")
        Outbox(self.batches, self.queue, QUEUE).announce(batch)

    def receive(self) -> bool:
        """Take one message, and delete it unless the step raises. False where there is none just now."""
        taken = self.queue.receive(QUEUE, 0, 360)
        if taken is None:
            return False
        [receives] = [one.receives for one in self.queue.messages[QUEUE] if one.receipt == taken.receipt]
        try:
            self.notify(taken.body, taken.receipt, receives)
        except BatchmillError:
            return True
        self.queue.delete(QUEUE, taken.receipt)
        return True

    def drain(self) -> None:
        while self.receive():
            pass


def final(**changes: object) -> Batch:
    batch = Batch(
        batch_id=BATCH_ID,
        status=BatchStatus.COMPLETED,
        spec={"webhook_url": URL, "metadata": {"team": "blue"}, "prompt": "a secret prompt"},
        inputs=(Input("input", "rows.csv"),),
        created_at=1_767_225_600.0,
        deadline=1_767_229_200.0,
        name="tickets",
        counts=Counts(3, 2, 1),
        prompt_tokens=10,
        completion_tokens=20,
        times={"finalizing": 1_767_225_630.0, "completed": 1_767_225_660.0},
    )
    return replace(batch, **changes)  # type: ignore[arg-type]


def test_each_channel_hears_of_a_final_batch_once() -> None:
    setting = Setting(final())
    setting.drain()
    assert {name: len(channel.delivered) for name, channel in setting.channels.items()} == {
        "event": 1,
        "sns": 1,
        "webhook": 1,
    }
    assert setting.queue.depth(QUEUE) == 0


def test_every_channel_tells_the_same_and_the_webhook_alone_has_its_url() -> None:
    setting = Setting(final())
    setting.drain()
    [event], [sns], [webhook] = (channel.delivered for channel in setting.channels.values())
    assert event.data == sns.data == webhook.data == told(final(), "data")
    assert (event.webhook_url, sns.webhook_url, webhook.webhook_url) == (None, None, URL)


def test_a_failed_delivery_comes_back_later_and_later_and_the_others_do_not_wait_for_it() -> None:
    setting = Setting(final())
    setting.channels["webhook"].trouble = Transient("busy")
    setting.drain()
    assert setting.queue.depth(QUEUE) == 1
    [message] = setting.queue.messages[QUEUE]
    waits = [message.visible_at - setting.clock.now()]
    for _ in range(14):
        setting.clock.move(waits[-1])
        setting.drain()
        waits.append(message.visible_at - setting.clock.now())
    assert waits[:5] == [4, 8, 15, 30, 60]
    assert waits[-1] == 2700
    setting.channels["webhook"].trouble = None
    setting.clock.move(waits[-1])
    setting.drain()
    assert setting.queue.depth(QUEUE) == 0
    assert len(setting.channels["webhook"].delivered) == 1


def test_a_receiver_that_may_not_be_called_or_is_gone_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(final())
    setting.channels["webhook"].trouble = WebhookRefused("gone for good")
    with caplog.at_level(logging.WARNING):
        setting.drain()
    assert setting.queue.depth(QUEUE) == 0
    assert "gone for good" in caplog.text


@pytest.mark.parametrize("body", ["", "{}", '{"batch_id": "x", "run": 0, "channel": "pigeon"}'])
def test_a_message_of_no_known_form_is_dropped_and_said_so(body: str, caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(final())
    setting.notify(body, "receipt", 1)
    assert "no known form" in caplog.text
    assert not setting.channels["event"].delivered


def test_a_batch_that_is_unknown_not_final_or_in_another_run_is_told_to_nobody() -> None:
    setting = Setting(final(status=BatchStatus.FINALIZING))
    for batch_id, run in (("batch_" + "0" * 24, 0), (BATCH_ID, 0), (BATCH_ID, 1)):
        message = CallbackMessage(batch_id=batch_id, run=run, channel="event")
        setting.notify(message.model_dump_json(), "receipt", 1)
    assert not setting.channels["event"].delivered


def test_logs_hold_neither_the_urls_query_nor_a_prompt(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(final())
    with caplog.at_level(logging.DEBUG):
        setting.drain()
    assert "told by webhook" in caplog.text
    assert "hidden" not in caplog.text
    assert "secret prompt" not in caplog.text


def test_what_is_told_names_results_counts_times_and_no_prompt() -> None:
    data = told(final(), "data")
    assert data.event_id == f"evt_{BATCH_ID}-completed"
    assert (data.results, data.manifest) == (
        f"s3://data/batches/{BATCH_ID}/results/",
        f"s3://data/batches/{BATCH_ID}/manifest.json",
    )
    assert (data.counts.completed, data.tokens.completion, data.metadata) == (2, 20, {"team": "blue"})
    assert (data.created_at, data.finished_at) == ("2026-01-01T00:00:00.000Z", "2026-01-01T00:01:00.000Z")
    assert not data.truncated
    assert "secret prompt" not in data.model_dump_json()


def test_a_batch_that_was_refused_has_no_results_to_name() -> None:
    refused = final(status=BatchStatus.FAILED, times={"failed": 1_767_225_600.0})
    data = told(refused, "data")
    assert (data.results, data.manifest, data.status) == (None, None, "failed")


def test_another_run_of_a_batch_is_another_event() -> None:
    assert told(final(run=2), "data").event_id == f"evt_{BATCH_ID}-r2-completed"


def test_many_problems_and_huge_metadata_are_cut_and_it_says_so() -> None:
    problems = tuple(Problem("row", "\x01" * 5000, "\x02" * 5000, line) for line in range(100))
    data = told(final(problems=problems, spec={"metadata": {"k": "v" * 100_000}}), "data")
    assert data.truncated
    assert len(data.problems) == 10
    assert len(data.model_dump_json().encode()) <= CALLBACK_LIMIT
    assert data.problems[0].line == 0
