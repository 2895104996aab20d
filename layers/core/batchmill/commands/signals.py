"""Ctrl-C, twice: the first asks for an orderly end, the second ends everything at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType

from batchmill.commands import processes

STEP_S = 0.5
"""How long a signal may go unheard at most."""

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered, signals do not raise: the first sets `asked`, the second kills every child and exits at once.

    So nothing is cut off in the middle of starting or stopping a process. Use in the main thread only.
    """

    def __init__(self, on_first: Callable[[], None] | None = None) -> None:
        self._on_first = on_first
        self._asked = threading.Event()
        self._before: dict[int, object] = {}
        self.exit_code = 0
        """128 + the first signal's number: 130 after Ctrl-C. 0 while there was none."""

    @property
    def asked(self) -> bool:
        """Whether an end was asked for."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until an end is asked for; returns whether it was.

        In short steps: a signal that the kernel hands to another thread wakes nobody, and its handler runs only when
        this thread, the main one, next does something.
        """
        end = time.monotonic() + seconds
        while not self._asked.wait(min(STEP_S, max(end - time.monotonic(), 0.0))):
            if time.monotonic() >= end:
                return False
        return True

    def __enter__(self) -> Interrupts:
        """Take the signals over."""
        for number in _WATCHED:
            self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _received(self, number: int, _frame: FrameType | None) -> None:
        if self._asked.is_set():
            processes.kill_descendants()
            os._exit(128 + number)
        self.exit_code = 128 + number
        self._asked.set()
        if self._on_first is not None:
            self._on_first()
