"""The engine port over aiohttp: one session, kept-alive connections, no retries (those are the worker's)."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from batchmill.domain.errors import Transient
from batchmill.ports.engine import Reply

_KEEP_ALIVE_S = 4.0
# uvicorn (vLLM) drops idle connections after 5 s; a POST on one it is just dropping is lost: we drop first.
_HEALTH_TIMEOUT_S = 5.0


def root_url(base_url: str) -> str:
    """The engine's address without trailing slash and `/v1`, so that `/v1/...` paths can be appended."""
    return base_url.rstrip("/").removesuffix("/v1").rstrip("/")


class AiohttpEngine:
    """An OpenAI-compatible server at a URL; implements `ports.engine.Engine`.

    Make it anywhere, use it on one event loop: the session is opened at the first request.
    """

    def __init__(self, base_url: str, api_key: str | None = None, timeout_s: float = 600.0, limit: int = 1024) -> None:
        """`base_url` with or without `/v1`; `timeout_s` bounds one whole request; `limit` bounds connections.

        Keep `limit` at or above the worker's window: waiting for a connection counts in the timeout.
        """
        self._root = root_url(base_url)
        self._api_key = api_key
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(10.0, timeout_s))
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

    async def send(self, url_path: str, payload: bytes) -> Reply:
        """POST `payload`, which is JSON. A fault of the connection or a timeout is a `Reply` of status 0.

        Raises CancelledError when cancelled.
        """
        headers = {"Content-Type": "application/json"}
        started = time.monotonic()
        try:
            async with self._open().post(
                self._root + url_path, data=payload, headers=headers, allow_redirects=False
            ) as answer:
                content = await answer.read()
                wait = retry_after_seconds(answer.headers.get("Retry-After"))
                return Reply(answer.status, content, _since(started), wait, "")
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            return Reply(0, b"", _since(started), None, type(fault).__name__)

    async def healthy(self) -> bool:
        """True if `/health` answers 200, or, where the server has no such path, `/v1/models` does."""
        status = await self._get_status("/health")
        if status in (404, 405):
            status = await self._get_status("/v1/models")
        return status == 200

    async def models(self) -> dict[str, int | None]:
        """The models served, in the server's order: of each its context in tokens, where told (vLLM, SGLang).

        Raises Transient if the server gives no such list.
        """
        timeout = aiohttp.ClientTimeout(total=_HEALTH_TIMEOUT_S)
        try:
            async with self._open().get(self._root + "/v1/models", timeout=timeout) as answer:
                listing = json.loads(await answer.read())
                return {str(model["id"]): _tokens(model.get("max_model_len")) for model in listing["data"]}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
            raise Transient(f"no list of models at {self._root}/v1/models: {type(fault).__name__}") from fault

    async def close(self) -> None:
        """Close the connections. Calling it twice is harmless."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _get_status(self, path: str) -> int:
        timeout = aiohttp.ClientTimeout(total=_HEALTH_TIMEOUT_S)
        try:
            async with self._open().get(self._root + path, timeout=timeout) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=_KEEP_ALIVE_S)
            auth = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
            self._session = aiohttp.ClientSession(connector=connector, headers=auth, timeout=self._timeout)
        return self._session


def retry_after_seconds(header: str | None) -> float | None:
    """Seconds a Retry-After header (a number, or an HTTP date) asks for; None if absent or unreadable."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (aware - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if seconds < float("inf") else None


def _tokens(number: object) -> int | None:
    return number if isinstance(number, int) and number > 0 else None


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
