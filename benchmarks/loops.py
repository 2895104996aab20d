"""The peers' loops: what somebody writes in an afternoon. No checkpoint, no resuming, no shards.

Run as a process of its own: `python -m benchmarks.loops openai --url URL --input FILE --output FILE --window N`
prints one JSON object: seconds, peak_rss (bytes or null). Starting Python and importing are not in the seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TextIO

import aiohttp
from openai import AsyncOpenAI

from benchmarks import machine

Ask = Callable[[Mapping[str, Any]], Awaitable[object]]
"""From one batch line to the engine's answer to it, as JSON-able data."""
LOOPS = ("openai", "aiohttp")


async def openai_ask(url: str, held: AsyncExitStack) -> Ask:
    """By the openai package, its client as it comes."""
    client = await held.enter_async_context(AsyncOpenAI(base_url=url, api_key="none"))

    async def ask(line: Mapping[str, Any]) -> object:
        answer = await client.chat.completions.create(**line["body"])
        return answer.model_dump()

    return ask


async def aiohttp_ask(url: str, window: int, held: AsyncExitStack) -> Ask:
    """By one aiohttp session: the floor."""
    connector = aiohttp.TCPConnector(limit=window)
    session = await held.enter_async_context(aiohttp.ClientSession(connector=connector))
    root = url.removesuffix("/v1")

    async def ask(line: Mapping[str, Any]) -> object:
        async with session.post(root + line["url"], json=line["body"]) as answer:
            answer.raise_for_status()
            return await answer.json()

    return ask


async def loop(kind: str, url: str, lines: Sequence[Mapping[str, Any]], target: TextIO, window: int) -> None:
    """Ask every line, `window` at a time, and write each answer to `target` as it comes."""
    async with AsyncExitStack() as held:
        ask = await (openai_ask(url, held) if kind == "openai" else aiohttp_ask(url, window, held))
        places = asyncio.Semaphore(window)

        async def one(line: Mapping[str, Any]) -> None:
            async with places:
                answer = await ask(line)
            target.write(json.dumps({"custom_id": line["custom_id"], "response": answer}) + "\n")

        await asyncio.gather(*(one(line) for line in lines))


def main() -> None:
    """Time one loop over one file."""
    parser = argparse.ArgumentParser(description="A loop over an OpenAI-compatible engine.")
    parser.add_argument("kind", choices=LOOPS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--window", type=int, required=True)
    given = parser.parse_args()
    started = time.perf_counter()
    lines = [json.loads(line) for line in given.input.read_text().splitlines()]
    with given.output.open("w") as target:
        asyncio.run(loop(given.kind, given.url, lines, target, given.window))
    seconds = time.perf_counter() - started
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_rss": machine.peak_rss(os.getpid())}) + "\n")


if __name__ == "__main__":
    main()
