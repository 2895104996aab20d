"""A stage's throttle: a bucket of tokens, `burst` deep, filled at `rate` a second."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Throttle:
    """Threads may share it. `clock` in seconds."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = float(burst), clock()
        self._lock = threading.Lock()

    def passes(self) -> bool:
        """Whether one more request may go through now."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
