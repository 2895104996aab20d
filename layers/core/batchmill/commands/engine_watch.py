"""Looking after the engine of a `run`: a batch whose engine is gone must not wait for its deadline in silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from batchmill.adapters.engine import AiohttpEngine

LOOK_EVERY_S = 5.0
AWAY_LIMIT_S = 60.0
"""How long an engine may be away (restarting, say) before the batch is cancelled with what it has."""


class EngineWatch:
    """Call `look` often: it asks the engine now and then, tells a person, and calls `give_up` once if it stays away."""

    def __init__(self, url: str, key: str, tell: Callable[[str], None], give_up: Callable[[], object]) -> None:
        self._url, self._key, self._tell, self._give_up = url, key, tell, give_up
        self._looked_at = time.monotonic()
        self._away_since: float | None = None
        self._gave_up = False

    def look(self) -> None:
        """At most one question to the engine every few seconds."""
        now = time.monotonic()
        if self._gave_up or now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        if asyncio.run(self._healthy()):
            if self._away_since is not None:
                self._tell(f"the engine at {self._url} is back")
            self._away_since = None
        elif self._away_since is None:
            self._away_since = now
            self._tell(f"the engine at {self._url} does not answer; waiting {AWAY_LIMIT_S:.0f} s for it")
        elif now - self._away_since > AWAY_LIMIT_S:
            self._gave_up = True
            self._tell(f"the engine at {self._url} has not come back: cancelling, and keeping what is done")
            self._give_up()

    async def _healthy(self) -> bool:
        engine = AiohttpEngine(self._url, api_key=self._key or None)
        try:
            return await engine.healthy()
        finally:
            await engine.close()
