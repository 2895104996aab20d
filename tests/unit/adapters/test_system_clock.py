"""The machine's own clock."""

from __future__ import annotations

import asyncio

from batchmill.adapters.system_clock import SystemClock


async def test_time_goes_on_and_a_sleep_lets_others_run() -> None:
    clock = SystemClock()
    ran = asyncio.create_task(asyncio.sleep(0, result="other"))
    before = clock.now()
    await clock.sleep(0.001)
    assert ran.done()
    assert clock.now() >= before > 1_700_000_000
