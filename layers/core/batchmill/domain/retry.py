"""How long to wait before a request is tried again."""

from __future__ import annotations

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0


def backoff_seconds(tries: int, chance: float, retry_after_s: float | None = None) -> float:
    """Seconds to wait after the `tries`-th failed try: full jitter under a doubling cap.

    `chance` is drawn from [0, 1). A Retry-After is honoured as a floor, up to the longest wait.
    """
    cap = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(tries - 1, 16))
    floor = min(retry_after_s or 0.0, LONGEST_WAIT_S)
    return max(floor, cap * chance)
