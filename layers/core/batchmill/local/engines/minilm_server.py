"""MiniLM behind an OpenAI-compatible server: /v1/embeddings, and vLLM's /v1/score and /v1/classify from those.

Where it differs from vLLM: a text over 512 tokens is cut there rather than refused (`truncate_prompt_tokens` sets
less), and `usage.truncated_tokens` says how many tokens were left out; `labels` of a classification come with the
request, and are chosen by likeness of meaning. Embeddings as floats are rounded to 8 decimals.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence

import numpy as np
from aiohttp import web

from batchmill.local.engines import wire
from batchmill.local.engines.batcher import Batcher
from batchmill.local.engines.minilm_model import DIMENSIONS, MAX_TOKENS, MODEL, Array, MiniLM, Tokens
from batchmill.local.engines.minilm_requests import check_model, read_classify, read_embedding, read_score
from batchmill.local.engines.serving import refusals

_MANY_CHARACTERS = 20_000  # tokenizing more holds up the event loop for some ms: off to a thread
_LABEL_SETS = 64


class MiniLMServer:
    """The handlers over one model."""

    def __init__(self, model: MiniLM, threads: int) -> None:
        """`threads`: how many batches are computed at once."""
        self._model = model
        self._batcher = Batcher(model.embed, threads)
        self._label_vectors: dict[tuple[str, ...], Array] = {}

    def app(self) -> web.Application:
        """The HTTP application."""
        app = web.Application(middlewares=[refusals], client_max_size=256 << 20)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_post("/v1/score", self._score)
        app.router.add_post("/v1/classify", self._classify)
        for path in ("/v1/chat/completions", "/v1/completions"):
            app.router.add_post(path, _writes_no_text)
        app.router.add_get("/v1/models", _models)
        app.router.add_get("/health", _health)
        app.on_cleanup.append(self._close)
        return app

    async def _close(self, _: web.Application) -> None:
        self._batcher.close()

    async def _embeddings(self, request: web.Request) -> web.Response:
        body = await _body(request)
        asked = read_embedding(body, MAX_TOKENS, DIMENSIONS)
        tokens = await self._tokenize(asked.texts, asked.limit)
        vectors = await self._batcher.embed(tokens)
        rounded = asked.encoding == "float"
        rows = np.round(vectors.astype(np.float64), 8).tolist() if rounded else vectors.tolist()
        answer = wire.embeddings(MODEL, rows, asked.encoding, _usage(tokens))
        return web.json_response({"id": f"embd-{uuid.uuid4().hex}", "created": int(time.time()), **answer})

    async def _score(self, request: web.Request) -> web.Response:
        asked = read_score(await _body(request), MAX_TOKENS)
        texts = tuple(dict.fromkeys(asked.left + asked.right))
        tokens = await self._tokenize(texts, asked.limit)
        vectors = await self._batcher.embed(tokens)
        places = {text: index for index, text in enumerate(texts)}
        left = vectors[[places[text] for text in asked.left]]
        right = vectors[[places[text] for text in asked.right]]
        scores = np.einsum("ij,ij->i", left, right).tolist()
        data = [{"index": n, "object": "score", "score": score} for n, score in enumerate(scores)]
        return _listing("score", data, tokens)

    async def _classify(self, request: web.Request) -> web.Response:
        asked = read_classify(await _body(request), MAX_TOKENS)
        labels = await self._labels(asked.label_texts)
        tokens = await self._tokenize(asked.texts, asked.limit)
        vectors = await self._batcher.embed(tokens)
        probabilities = _softmax((vectors @ labels.T) / asked.temperature)
        data = [
            {
                "index": index,
                "label": asked.labels[int(row.argmax())],
                "probs": row.tolist(),
                "num_classes": len(row),
            }
            for index, row in enumerate(probabilities)
        ]
        return _listing("classify", data, tokens)

    async def _labels(self, texts: tuple[str, ...]) -> Array:
        """The vectors of a set of labels; a batch asks for the same ones with every row."""
        found = self._label_vectors.get(texts)
        if found is None:
            found = await self._batcher.embed(await self._tokenize(texts, MAX_TOKENS))
            if len(self._label_vectors) >= _LABEL_SETS:
                self._label_vectors.clear()
            self._label_vectors[texts] = found
        return found

    async def _tokenize(self, texts: Sequence[str], limit: int) -> list[Tokens]:
        if sum(map(len, texts)) > _MANY_CHARACTERS:
            return await asyncio.to_thread(self._model.tokenize, texts, limit)
        return self._model.tokenize(texts, limit)


async def _body(request: web.Request) -> wire.Json:
    body = await wire.read_json(request)
    check_model(body, MODEL)
    return body


async def _models(_: web.Request) -> web.Response:
    return web.json_response(wire.models([MODEL], max_model_len=MAX_TOKENS))


async def _health(_: web.Request) -> web.Response:
    return web.Response()


async def _writes_no_text(_: web.Request) -> web.Response:
    reason = f"`{MODEL}` gives embeddings and writes no text: ask /v1/embeddings, /v1/score or /v1/classify."
    return wire.error(reason, 404)


def _listing(kind: str, data: list[wire.Json], tokens: Sequence[Tokens]) -> web.Response:
    name = f"{kind}-{uuid.uuid4().hex}"
    answer = {"id": name, "object": "list", "created": int(time.time()), "model": MODEL, "data": data}
    return web.json_response({**answer, "usage": _usage(tokens)})


def _usage(tokens: Sequence[Tokens]) -> wire.Json:
    counts = wire.usage(sum(len(text.ids) for text in tokens))
    return {**counts, "truncated_tokens": sum(text.cut for text in tokens)}


def _softmax(scores: Array) -> Array:
    weights: Array = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights
