"""The engine adapter's reading of addresses and headers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from batchmill.adapters.engine import AiohttpEngine, retry_after_seconds, root_url
from batchmill.local.engines.serving import Listener


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("http://h:1", "http://h:1"),
        ("http://h:1/v1/", "http://h:1"),
        ("https://h/gateway/v1", "https://h/gateway"),
        ("https://h/v1beta", "https://h/v1beta"),
    ],
)
def test_only_a_whole_v1_at_the_end_is_taken_off(given: str, root: str) -> None:
    assert root_url(given) == root


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("2", 2.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), ("nan", None), ("inf", None)],
)
def test_retry_after_in_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header) == seconds


def test_retry_after_as_a_date() -> None:
    later = retry_after_seconds(format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
    assert later is not None
    assert 3000 < later <= 3600
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


async def test_a_server_without_a_health_path_is_healthy_when_it_lists_models() -> None:
    seen: list[str | None] = []

    async def models(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({"object": "list", "data": [{"id": "some"}]})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    listener = Listener(app)
    await listener.start()
    engine = AiohttpEngine(listener.url, api_key="secret")
    assert await engine.healthy()
    assert await engine.models() == {"some": None}
    assert seen == ["Bearer secret", "Bearer secret"]
    await engine.close()
    await listener.stop()


async def test_a_redirect_is_not_followed() -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", elsewhere)
    listener = Listener(app)
    await listener.start()
    engine = AiohttpEngine(listener.url)
    reply = await engine.send("/v1/chat/completions", b"{}")
    assert reply.status == 302
    await engine.close()
    await engine.close()
    await listener.stop()
