"""Watching one batch until it is final, showing what goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.live import Live

from batchmill import console
from batchmill.client import Snapshot, StackClient
from batchmill.commands.signals import Interrupts
from batchmill.domain.batch import Batch
from batchmill.domain.errors import BatchNotFound, Transient

POLL_S = 0.5
PLAIN_S = 5.0
"""Seconds between plain lines where there is no terminal."""
QUEUED_LIMIT_S = 300.0
"""How long a submission may go unseen by intake before that is said to be wrong."""
_POLL_SHARE = 10
"""A poll reads every shard's record: at most this fraction of the time is spent on it."""


class Display(Protocol):
    """Shows snapshots."""

    def show(self, snapshot: Snapshot, rates: console.Rates) -> None:
        """Called at every poll."""
        ...


@dataclass
class PlainDisplay:
    """A line every few seconds, and one at each change of status."""

    every_s: float = PLAIN_S
    _status: str = ""
    _told: float = float("-inf")

    def show(self, snapshot: Snapshot, rates: console.Rates) -> None:
        """Write a line to standard error if it is time."""
        status = console.standing(snapshot.batch)
        if status == self._status and rates.elapsed_s - self._told < self.every_s:
            return
        self._status, self._told = status, rates.elapsed_s
        sys.stderr.write(console.plain_line(snapshot, rates) + "\n")
        sys.stderr.flush()


class LiveDisplay:
    """A few lines at the terminal's end that change in place."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, snapshot: Snapshot, rates: console.Rates) -> None:
        """Draw anew."""
        self._live.update(console.live(snapshot, rates, self._live.console.width), refresh=True)


class NoDisplay:
    """Nothing at all."""

    def show(self, snapshot: Snapshot, rates: console.Rates) -> None:
        """Do nothing."""


@contextmanager
def display(quiet: bool) -> Iterator[Display]:
    """The display that fits standard error: live on a terminal, plain lines elsewhere, none where `quiet`."""
    screen = Console(stderr=True)
    if quiet:
        yield NoDisplay()
    elif screen.is_terminal:
        with Live(console=screen, auto_refresh=False, transient=True) as live:
            yield LiveDisplay(live)
    else:
        yield PlainDisplay()


def follow(
    client: StackClient,
    batch_id: str,
    shown: Display,
    interrupts: Interrupts,
    started: float,
    at_each_poll: Callable[[], None] = lambda: None,
) -> Batch | None:
    """Poll until the batch is final, and return it; None when an end was asked for first.

    `started`: seconds since the epoch. A passing trouble of the services is tried again. Raises BatchNotFound where
    intake does not take the submission for a long time.
    """
    meter = console.Meter(started)
    while not interrupts.asked:
        began = time.monotonic()
        at_each_poll()
        snapshot = _snapshot(client, batch_id)
        if snapshot is not None:
            shown.show(snapshot, meter.update(snapshot))
            if snapshot.final:
                return snapshot.batch
            if snapshot.batch is None and snapshot.at - started > QUEUED_LIMIT_S:
                raise BatchNotFound(f"{batch_id}: intake has not taken it in {QUEUED_LIMIT_S:.0f} s: look at its log")
        interrupts.wait(max(POLL_S, (time.monotonic() - began) * _POLL_SHARE))
    return None


def _snapshot(client: StackClient, batch_id: str) -> Snapshot | None:
    try:
        return client.snapshot(batch_id, time.time())
    except Transient:
        return None
