"""How vLLM ends. Last in the folder's order: what comes after it starts the server anew."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp

from batchmill.adapters.engine import AiohttpEngine
from batchmill.adapters.engine_process import EngineProcess

LONG = b'{"model": "tiny-llama", "prompt": "go on", "max_tokens": 900, "ignore_eos": true}'


def living(session: int) -> list[str]:
    """Names of the processes of a session, zombies left out."""
    names = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        if int(rest.split()[3]) == session and rest.split()[0] not in "ZX":
            names.append(head.partition("(")[2])
    return names


async def running_requests(url: str) -> float:
    """How many requests vLLM computes now, by its metrics."""
    async with aiohttp.ClientSession() as session, session.get(url.removesuffix("/v1") + "/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{"))


async def test_on_sigterm_a_request_in_flight_never_looks_whole_and_no_process_is_left(
    vllm_url: str, vllm_process: EngineProcess
) -> None:
    """It comes back as 200 with `abort`, or, where vLLM kills its core before that could answer, not at all."""
    session = vllm_process.pid
    assert session is not None
    assert len(living(session)) >= 3
    engine = AiohttpEngine(vllm_url, timeout_s=120)
    sending = asyncio.create_task(engine.send("/v1/completions", LONG))
    async with asyncio.timeout(60):
        while not await running_requests(vllm_url):
            await asyncio.sleep(0.05)
    await vllm_process.stop(grace_s=10)
    reply = await sending
    await engine.close()
    if reply.status == 200:
        assert json.loads(reply.body)["choices"][0]["finish_reason"] == "abort"
    else:
        assert reply.status in (0, 500)
    assert living(session) == []
