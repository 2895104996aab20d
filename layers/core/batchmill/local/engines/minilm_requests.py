"""What may be asked of the MiniLM server: each request read from its JSON body, or refused with a reason."""

from __future__ import annotations

from dataclasses import dataclass

from batchmill.local.engines.wire import Json, RequestRefused

MAX_TEXTS = 2048
"""Texts in one request, as OpenAI has it."""
DEFAULT_TEMPERATURE = 0.05
"""Of the softmax over cosines, which lie some 0.1 to 0.5 apart."""


@dataclass(frozen=True)
class EmbeddingRequest:
    """POST /v1/embeddings."""

    texts: tuple[str, ...]
    encoding: str
    limit: int


@dataclass(frozen=True)
class ScoreRequest:
    """POST /v1/score: pairs of texts, as many of the one as of the other."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    limit: int


@dataclass(frozen=True)
class ClassifyRequest:
    """POST /v1/classify: texts, and the labels to choose from, each with the text that stands for it."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    label_texts: tuple[str, ...]
    temperature: float
    limit: int


def read_embedding(body: Json, max_tokens: int, dimensions: int) -> EmbeddingRequest:
    """Raises RequestRefused."""
    wanted = body.get("dimensions")
    if wanted is not None and wanted != dimensions:
        reason = f"dimensions: this model gives {dimensions}, and cannot be shortened; got {wanted!r}"
        raise RequestRefused(reason, param="dimensions")
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        reason = f"encoding_format must be float or base64, not {encoding!r}"
        raise RequestRefused(reason, param="encoding_format")
    return EmbeddingRequest(_texts(body, "input"), encoding, _limit(body, max_tokens))


def read_score(body: Json, max_tokens: int) -> ScoreRequest:
    """One text is paired with each of the other side. Raises RequestRefused."""
    left, right = _texts(body, "text_1"), _texts(body, "text_2")
    if len(left) == 1:
        left *= len(right)
    if len(right) == 1:
        right *= len(left)
    if len(left) != len(right):
        raise RequestRefused(f"text_1 and text_2 do not pair: {len(left)} and {len(right)} texts")
    return ScoreRequest(left, right, _limit(body, max_tokens))


def read_classify(body: Json, max_tokens: int) -> ClassifyRequest:
    """`labels` is a list, or an object of label to describing text. Raises RequestRefused."""
    labels = _labels(body.get("labels"))
    temperature = body.get("temperature", DEFAULT_TEMPERATURE)
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not temperature > 0:
        raise RequestRefused(f"temperature must be above 0, got {temperature!r}", param="temperature")
    texts = _texts(body, "input")
    limit = _limit(body, max_tokens)
    return ClassifyRequest(texts, tuple(labels), tuple(labels.values()), float(temperature), limit)


def check_model(body: Json, model: str) -> None:
    """Raises RequestRefused, as 404, if the body names another model."""
    asked = body.get("model")
    if asked is not None and asked != model:
        raise RequestRefused(f"The model `{asked}` does not exist; this engine serves `{model}`.", 404, "model")


def _texts(body: Json, field: str) -> tuple[str, ...]:
    given = body.get(field)
    texts = given if isinstance(given, list) else [given]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise RequestRefused(f"{field} must be a string or a list of strings (not token ids)", param=field)
    if len(texts) > MAX_TEXTS:
        raise RequestRefused(f"{field} holds {len(texts)} texts, more than {MAX_TEXTS}", param=field)
    return tuple(texts)


def _labels(given: object) -> dict[str, str]:
    pairs = list(given.items()) if isinstance(given, dict) else []
    if isinstance(given, list):
        pairs = [(label, label) for label in given]
    labels = dict(pairs) if all(isinstance(text, str) for pair in pairs for text in pair) else {}
    if len(labels) < 2 or len(labels) < len(pairs):
        reason = 'labels must name two or more different classes: ["bug", "praise"] or {"bug": "a defect", ...}'
        raise RequestRefused(reason, param="labels")
    return labels


def _limit(body: Json, max_tokens: int) -> int:
    given = body.get("truncate_prompt_tokens")
    if given is None or given == -1:
        return max_tokens
    if isinstance(given, bool) or not isinstance(given, int) or not 2 <= given <= max_tokens:
        reason = f"truncate_prompt_tokens must be -1 or from 2 to {max_tokens}, got {given!r}"
        raise RequestRefused(reason, param="truncate_prompt_tokens")
    return given
