"""A scripted engine: a real HTTP server whose answers are simulated, for rehearsing scheduling and faults.

As a process: `python -m batchmill.local.engines.scripted --port 0 --script FILE.json [--journal FILE]`.
In a test:    `async with ScriptedServer(Script(...)) as engine: ... engine.url ... engine.stats()`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from aiohttp import web

from batchmill.local.engines import wire
from batchmill.local.engines.ledger import Arrival, Ledger
from batchmill.local.engines.prefix_cache import PrefixCache
from batchmill.local.engines.script import FaultKind, Script
from batchmill.local.engines.scripted_text import (
    answer_text,
    expected_vector,
    inputs,
    prompt_text,
    token_limit,
)
from batchmill.local.engines.serving import Listener, refusals, run_until_signal

MODEL = "scripted"
"""The model that every answer names, whatever was asked for: nothing here is a real model's."""


class ScriptedEngine:
    """The behaviour behind the server: one request in, one answer or fault out, as the script says."""

    def __init__(self, script: Script, journal: Path | None = None, on_death: Callable[[], None] | None = None) -> None:
        """`on_death` ends the process; without it a death drops all connections, and all later ones."""
        self.script = script
        self.ledger = Ledger(script.marker_pattern, journal)
        self.dead = False
        self.peak = 0
        """The most requests that were inside at one time."""
        self._on_death = on_death
        self._cache = PrefixCache(script.cache_blocks, script.block_tokens)
        self._slots = asyncio.Semaphore(script.max_running) if script.max_running else None
        self._stopping = asyncio.Event()
        self._inside = 0
        self._running = 0
        self._born = time.monotonic()

    def app(self) -> web.Application:
        """The HTTP application."""
        app = web.Application(middlewares=[refusals], client_max_size=1 << 30)
        for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings"):
            app.router.add_post(path, self._answer)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/scripted/stats", self._stats)
        return app

    def stop(self) -> None:
        """As vLLM on SIGTERM: what is in flight ends now, as a partial answer with `finish_reason: "abort"`."""
        self._stopping.set()

    def die(self) -> None:
        """The engine is gone, in the middle of everything."""
        if self._on_death is not None:
            self._on_death()
        self.dead = True
        self._stopping.set()

    def stats(self) -> wire.Json:
        """The ledger's counts, and `peak_in_flight`, `in_flight`, `waiting`."""
        now = {"in_flight": self._inside, "waiting": self._inside - self._running, "peak_in_flight": self.peak}
        return {"engine": MODEL, "simulated": True, **self.ledger.stats(), **now}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await wire.read_json(request)
        prompt = prompt_text(body)
        arrival = self.ledger.receive(body, prompt)
        if self.script.die_after and arrival.number >= self.script.die_after:
            self.die()
        fault = self._fault(prompt, arrival)
        refusal = self._refusal(body, prompt, fault)
        if refusal is not None:
            return refusal
        self._inside += 1
        self.peak = max(self.peak, self._inside)
        try:
            return await self._compute(request, body, prompt, arrival, fault)
        finally:
            self._inside -= 1

    def _fault(self, prompt: str, arrival: Arrival) -> FaultKind | None:
        for index, fault in enumerate(self.script.faults):
            # Seeded by the request, not by a running generator: the same whatever order requests arrive in.
            chance = self._chance(f"fault{index}", arrival)
            if fault.strikes(prompt, arrival.number, arrival.occurrence, chance):
                self.ledger.fault(fault.kind)
                return fault.kind
        return None

    def _refusal(self, body: wire.Json, prompt: str, fault: FaultKind | None) -> web.StreamResponse | None:
        script = self.script
        if script.models and body.get("model") not in script.models:
            return wire.error(f"The model `{body.get('model')}` does not exist.", 404, "model")
        tokens = len(prompt.split())
        limits = [limit for limit in (script.max_prompt_tokens, script.max_model_len) if limit]
        if limits and _kept(body, tokens) > (limit := min(limits)):
            return wire.error(f"This model's maximum context length is {limit} tokens, got {tokens}.", 400)
        if fault is FaultKind.BAD_REQUEST:
            return wire.error("scripted: bad request", 400)
        if fault is FaultKind.SERVER_ERROR:
            return wire.error("scripted: server error", 500)
        full = bool(script.max_waiting) and self._inside - self._running >= script.max_waiting
        if fault is FaultKind.RATE_LIMIT or full:
            return wire.error("scripted: too many requests", 429, Retry_After=str(script.retry_after_s))
        if fault is FaultKind.UNAVAILABLE:
            return wire.error("scripted: unavailable", 503, Retry_After=str(script.retry_after_s))
        return None

    async def _compute(
        self, request: web.Request, body: wire.Json, prompt: str, arrival: Arrival, fault: FaultKind | None
    ) -> web.StreamResponse:
        tokens = prompt.split()
        cached = self._cache.take(tokens)
        wanted = self.script.completion_tokens
        chance = self._chance("latency", arrival)
        seconds = self.script.latency.seconds(len(tokens) - cached, wanted, chance)
        if fault is FaultKind.HANG:
            seconds = float("inf")
        if fault is FaultKind.POISON:
            self.die()
        whole = fault is not FaultKind.RESET and await self._spend(seconds)
        if self.dead or fault is FaultKind.RESET:
            return _drop(request)
        if fault in (FaultKind.CUT, FaultKind.GARBAGE):
            return await _broken(request, cut=fault is FaultKind.CUT)
        if not whole:
            fault = FaultKind.ABORT
        counts = wire.usage(len(tokens), 0, cached)
        answer = self._body(request.path, body, prompt, arrival, fault, counts)
        if fault is not FaultKind.ABORT and request.transport and not request.transport.is_closing():
            self.ledger.complete(arrival)
        return web.json_response(answer)

    async def _spend(self, seconds: float) -> bool:
        """Compute for so long; False if the engine was stopped in the meantime."""
        if self._slots is not None:
            await self._slots.acquire()
        self._running += 1
        try:
            if seconds:
                timeout = None if seconds == float("inf") else seconds
                await asyncio.wait_for(self._stopping.wait(), timeout)
            return not self._stopping.is_set()
        except TimeoutError:
            return True
        finally:
            self._running -= 1
            if self._slots is not None:
                self._slots.release()

    def _body(
        self, path: str, body: wire.Json, prompt: str, arrival: Arrival, fault: FaultKind | None, counts: wire.Json
    ) -> wire.Json:
        name = f"scripted-{arrival.digest[:16]}-{arrival.occurrence}"
        if path == "/v1/embeddings":
            vectors = [expected_vector(text, self.script.dimensions) for text in inputs(body)]
            return wire.embeddings(MODEL, vectors, str(body.get("encoding_format") or "float"), counts)
        wanted = self.script.completion_tokens
        limit = token_limit(body) or wanted
        text, reason, tokens = answer_text(body, prompt), "stop", wanted
        if fault is FaultKind.ABORT:
            text, reason, tokens = text[: len(text) // 2], "abort", wanted // 2
        elif fault is FaultKind.LENGTH or limit < wanted:
            text, reason, tokens = text[: len(text) // 2], "length", min(limit, wanted)
        full = wire.usage(counts["prompt_tokens"], tokens, counts["prompt_tokens_details"]["cached_tokens"])
        shape = wire.chat_completion if path == "/v1/chat/completions" else wire.completion
        return shape(name, MODEL, text, reason, full)

    def _chance(self, purpose: str, arrival: Arrival) -> random.Random:
        return random.Random(f"{self.script.seed}:{purpose}:{arrival.digest}:{arrival.occurrence}")

    async def _tokenize(self, request: web.Request) -> web.Response:
        if not self.script.tokenizer:
            return wire.error(f"this engine does not answer {request.method} {request.path}", 404)
        tokens = prompt_text(await wire.read_json(request)).split()
        return web.json_response({"count": len(tokens), "max_model_len": self.script.max_model_len, "tokens": []})

    async def _models(self, _: web.Request) -> web.Response:
        told = {"max_model_len": self.script.max_model_len} if self.script.max_model_len else {}
        return web.json_response(wire.models(self.script.models or (MODEL,), simulated=True, **told))

    async def _health(self, request: web.Request) -> web.StreamResponse:
        if self.dead:
            return _drop(request)
        ready = time.monotonic() - self._born >= self.script.ready_after_s
        return web.Response(status=200 if ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        labels = f'{{engine="0",model_name="{MODEL}"}}'
        running = f"vllm:num_requests_running{labels} {float(self._running)}\n"
        waiting = f"vllm:num_requests_waiting{labels} {float(self._inside - self._running)}\n"
        return web.Response(text=running + waiting)

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(self.stats())


class ScriptedServer:
    """The scripted engine listening on a free port of 127.0.0.1, as an async context manager."""

    def __init__(self, script: Script | None = None, journal: Path | None = None) -> None:
        self.engine = ScriptedEngine(script or Script(), journal)
        self._listener = Listener(self.engine.app())

    @property
    def url(self) -> str:
        """The base URL, with `/v1`."""
        return self._listener.url

    def stats(self) -> wire.Json:
        """What GET /scripted/stats answers."""
        return self.engine.stats()

    async def __aenter__(self) -> ScriptedServer:
        await self._listener.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.stop()
        await self._listener.stop()


def main(arguments: list[str] | None = None) -> None:
    """Run the engine as a process; `--script` is a `Script` as JSON, `--journal` keeps the counts over deaths."""
    parser = argparse.ArgumentParser(description="A simulated OpenAI-compatible engine.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path)
    parser.add_argument("--journal", type=Path)
    given = parser.parse_args(arguments)
    script = Script.model_validate_json(given.script.read_text()) if given.script else Script()
    asyncio.run(_serve(script, given.journal, given.port))


async def _serve(script: Script, journal: Path | None, port: int) -> None:
    engine = ScriptedEngine(script, journal, on_death=lambda: os._exit(70))
    await run_until_signal(engine.app(), port, MODEL, engine.stop)


def _kept(body: wire.Json, tokens: int) -> int:
    """The tokens of a prompt that are left by vLLM's truncate_prompt_tokens."""
    most = body.get("truncate_prompt_tokens")
    return min(tokens, most) if isinstance(most, int) else tokens


def _drop(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _broken(request: web.Request, cut: bool) -> web.StreamResponse:
    if not cut:
        return web.Response(text="<html>scripted: not JSON</html>", content_type="application/json")
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"id": "scripted-')
    return _drop(request)


if __name__ == "__main__":
    main()
