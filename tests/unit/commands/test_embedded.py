from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from batchmill.commands.embedded import EngineUnreachable, check_endpoint, model_served, template_path
from batchmill.contracts.pools import UNKNOWN_MODEL
from batchmill.domain.errors import SpecInvalid
from batchmill.local.engines.serving import Listener


async def _listen(models: list[str] | None) -> Listener:
    app = web.Application()

    async def listing(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name} for name in models or []]})

    async def health(_: web.Request) -> web.Response:
        return web.Response()

    app.router.add_get("/health", health)
    if models is not None:
        app.router.add_get("/v1/models", listing)
    listener = Listener(app)
    await listener.start()
    return listener


@pytest.fixture
async def one() -> AsyncIterator[str]:
    listener = await _listen(["m"])
    yield listener.url
    await listener.stop()


@pytest.fixture
async def two() -> AsyncIterator[str]:
    listener = await _listen(["m", "n"])
    yield listener.url
    await listener.stop()


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    listener = await _listen(None)
    yield listener.url
    await listener.stop()


async def test_the_only_model_of_an_engine_is_taken(one: str) -> None:
    assert await model_served(one, "", None) == "m"


async def test_a_model_that_the_engine_lacks_is_refused_with_those_it_has(one: str) -> None:
    with pytest.raises(SpecInvalid, match=r"--model x: .* serves m"):
        await model_served(one, "", "x")


async def test_several_models_need_a_choice(two: str) -> None:
    with pytest.raises(SpecInvalid, match="one of m, n"):
        await model_served(two, "", None)
    assert await model_served(two, "", "n") == "n"


async def test_an_engine_that_lists_no_models_is_taken_at_its_word(silent: str) -> None:
    assert await model_served(silent, "", "x") == "x"
    assert await model_served(silent, "", None) == UNKNOWN_MODEL


async def test_an_engine_that_does_not_answer_is_unreachable() -> None:
    with pytest.raises(EngineUnreachable, match="nobody answers"):
        await model_served("http://127.0.0.1:9/v1", "", None)


async def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(SpecInvalid, match="write a URL"):
        await model_served("localhost:8000", "", None)


def test_the_embedded_engines_endpoints_are_checked_and_another_engines_are_not() -> None:
    check_endpoint("/v1/chat/completions", "http://127.0.0.1:8000/v1")
    check_endpoint("/v1/classify", None)
    with pytest.raises(SpecInvalid, match="--engine"):
        check_endpoint("/v1/chat/completions", None)


def test_the_template_lies_beside_the_source() -> None:
    assert template_path().name == "template.yaml"
