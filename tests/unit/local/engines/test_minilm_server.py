"""The MiniLM server's answers: OpenAI's and vLLM's shapes, and a clear refusal of what it cannot do."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchmill.adapters.engine import AiohttpEngine
from batchmill.adapters.engine_process import EngineProcess
from batchmill.local.engines.minilm_model import MAX_TOKENS, MODEL, MiniLM, weights_folder
from batchmill.local.engines.minilm_server import MiniLMServer
from batchmill.local.engines.serving import Listener


@dataclass(frozen=True)
class Served:
    """The server, as a client sees it, and the model behind it."""

    engine: AiohttpEngine
    model: MiniLM

    async def post(self, path: str, **body: object) -> tuple[int, dict[str, Any]]:
        reply = await self.engine.send(path, json.dumps({"model": MODEL, **body}).encode())
        return reply.status, json.loads(reply.body)

    def vector(self, text: str) -> list[float]:
        vector: list[float] = self.model.embed(self.model.tokenize([text]))[0].tolist()
        return vector


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM(weights_folder())


@pytest.fixture
async def served(model: MiniLM) -> AsyncIterator[Served]:
    listener = Listener(MiniLMServer(model, threads=2).app())
    await listener.start()
    engine = AiohttpEngine(listener.url, timeout_s=60)
    yield Served(engine, model)
    await engine.close()
    await listener.stop()


async def test_one_text_gives_one_embedding(served: Served) -> None:
    status, answer = await served.post("/v1/embeddings", input="hello world")
    (row,) = answer["data"]
    assert (status, answer["object"], answer["model"]) == (200, "list", MODEL)
    assert (row["object"], row["index"]) == ("embedding", 0)
    assert row["embedding"] == pytest.approx(served.vector("hello world"), abs=1e-6)
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] == 4


async def test_a_list_gives_embeddings_in_its_order(served: Served) -> None:
    texts = ["a much longer text than the second one", "short", ""]
    _, answer = await served.post("/v1/embeddings", input=texts)
    for index, text in enumerate(texts):
        row = answer["data"][index]
        assert row["index"] == index
        assert row["embedding"] == pytest.approx(served.vector(text), abs=1e-6)


async def test_base64_holds_the_same_numbers(served: Served) -> None:
    _, answer = await served.post("/v1/embeddings", input="hello", encoding_format="base64")
    numbers = np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), "<f4")
    assert numbers == pytest.approx(served.vector("hello"), abs=1e-6)


async def test_concurrent_requests_each_get_their_own_answer(served: Served) -> None:
    texts = [f"text number {n} " + "and more " * (n % 7) for n in range(60)]
    answers = await asyncio.gather(*(served.post("/v1/embeddings", input=text) for text in texts))
    for text, (_, answer) in zip(texts, answers, strict=True):
        assert answer["data"][0]["embedding"] == pytest.approx(served.vector(text), abs=1e-6)


async def test_a_text_over_the_limit_is_cut_and_the_usage_says_so(served: Served) -> None:
    status, answer = await served.post("/v1/embeddings", input="word " * 5000)
    assert status == 200
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["truncated_tokens"]) == (512, 4490)
    _, shorter = await served.post("/v1/embeddings", input="word " * 50, truncate_prompt_tokens=10)
    assert (shorter["usage"]["prompt_tokens"], shorter["usage"]["truncated_tokens"]) == (10, 42)


async def test_the_score_is_the_cosine(served: Served) -> None:
    status, answer = await served.post("/v1/score", text_1="a cat", text_2=["a cat", "a stock market"])
    same, other = answer["data"]
    assert status == 200
    assert same == {"index": 0, "object": "score", "score": pytest.approx(1.0, abs=1e-6)}
    cosine = float(np.dot(served.vector("a cat"), served.vector("a stock market")))
    assert other["score"] == pytest.approx(cosine, abs=1e-6)


async def test_pairs_are_scored_one_to_one(served: Served) -> None:
    _, answer = await served.post("/v1/score", text_1=["a", "b"], text_2=["a", "b"])
    assert [row["score"] for row in answer["data"]] == pytest.approx([1.0, 1.0], abs=1e-6)


async def test_a_text_is_classified_by_meaning(served: Served) -> None:
    texts = ["I was charged twice on my credit card", "the program crashes when it starts"]
    labels = {"billing": "a charge, payment or refund", "bug": "a software crash", "praise": "thanks and compliments"}
    status, answer = await served.post("/v1/classify", input=texts, labels=labels)
    assert status == 200
    assert [row["label"] for row in answer["data"]] == ["billing", "bug"]
    assert sum(answer["data"][0]["probs"]) == pytest.approx(1.0, abs=1e-6)
    assert answer["data"][0]["num_classes"] == 3
    assert answer["data"][1]["index"] == 1


async def test_a_higher_temperature_is_less_sure(served: Served) -> None:
    body = {"input": "the invoice is wrong", "labels": ["billing", "cooking"]}
    _, sharp = await served.post("/v1/classify", **body, temperature=0.05)
    _, even = await served.post("/v1/classify", **body, temperature=100)
    assert max(sharp["data"][0]["probs"]) > 0.9
    assert max(even["data"][0]["probs"]) < 0.6


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        ("/v1/embeddings", {}, "input"),
        ("/v1/embeddings", {"input": []}, "input"),
        ("/v1/embeddings", {"input": [1, 2]}, "token ids"),
        ("/v1/embeddings", {"input": ["a"] * 2049}, "2048"),
        ("/v1/embeddings", {"input": "a", "dimensions": 64}, "dimensions"),
        ("/v1/embeddings", {"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ("/v1/embeddings", {"input": "a", "truncate_prompt_tokens": 513}, "truncate_prompt_tokens"),
        ("/v1/score", {"text_1": "a"}, "text_2"),
        ("/v1/score", {"text_1": ["a", "b"], "text_2": ["a", "b", "c"]}, "do not pair"),
        ("/v1/classify", {"input": "a"}, "labels"),
        ("/v1/classify", {"input": "a", "labels": ["x", "x"]}, "labels"),
        ("/v1/classify", {"input": "a", "labels": [["x"], "y"]}, "labels"),
        ("/v1/classify", {"input": "a", "labels": ["x", "y"], "temperature": 0}, "temperature"),
    ],
)
async def test_the_rows_fault_is_400_and_named(served: Served, path: str, body: dict[str, object], names: str) -> None:
    status, answer = await served.post(path, **body)
    assert (status, answer["error"]["code"], answer["error"]["type"]) == (400, 400, "BadRequestError")
    assert names in answer["error"]["message"]


async def test_another_model_or_an_endpoint_that_writes_text_is_404(served: Served) -> None:
    assert (await served.post("/v1/embeddings", model="gpt", input="a"))[0] == 404
    status, answer = await served.post("/v1/chat/completions", messages=[])
    assert status == 404
    assert "gives embeddings and writes no text" in answer["error"]["message"]
    assert (await served.post("/v1/rerank"))[0] == 404


async def test_it_lists_its_model_and_is_healthy(served: Served) -> None:
    assert await served.engine.models() == {MODEL: MAX_TOKENS}
    assert await served.engine.healthy()


async def test_it_runs_as_a_process(tmp_path: Path) -> None:
    core = Path(__file__).parents[4] / "layers" / "core"
    command = [sys.executable, "-m", "batchmill.local.engines.minilm", "--port", "{port}", "--threads", "1"]
    process = EngineProcess(command, tmp_path / "log", environment={"PYTHONPATH": str(core)})
    await process.start()
    ready = json.loads(process.log_tail(1))
    assert (ready["event"], ready["url"], ready["model"]) == ("ready", process.url, MODEL)
    assert await process.stop() == 0
