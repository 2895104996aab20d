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


CALLBACK_FIRST_WAIT_S = 5.0
CALLBACK_LONGEST_WAIT_S = 3600.0


def redelivery_seconds(receives: int, chance: float) -> int:
    """Whole seconds until a callback is tried again after its `receives`-th failed delivery: a doubling cap, of which
    half is waited for certain and half by `chance`, drawn from [0, 1), so that receivers that were down together are
    not called together.
    """
    cap = min(CALLBACK_LONGEST_WAIT_S, CALLBACK_FIRST_WAIT_S * 2.0 ** min(max(receives, 1) - 1, 16))
    return max(1, round(cap / 2 + cap / 2 * chance))
