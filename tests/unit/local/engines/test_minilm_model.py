"""The numpy model: the reference's vectors, whatever the batch; and meaning that can be told apart."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchmill.local.engines.gelu import gelu
from batchmill.local.engines.minilm_model import Array, MiniLM, WeightsMissing, weights_folder

GOLDEN = Path(__file__).parents[3] / "golden" / "minilm.json"


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM(weights_folder())


def golden() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(GOLDEN.read_text())["rows"]
    return rows


def embed(model: MiniLM, *texts: str) -> Array:
    return model.embed(model.tokenize(texts))


def test_the_vectors_are_those_of_the_reference_implementation(model: MiniLM) -> None:
    vectors = embed(model, *(row["text"] for row in golden()))
    reference = np.array([row["vector"] for row in golden()])
    assert np.abs(vectors - reference).max() < 1e-6


def test_the_tokens_are_those_of_the_reference_implementation(model: MiniLM) -> None:
    tokens = model.tokenize([row["text"] for row in golden()])
    assert [len(text.ids) for text in tokens] == [row["tokens"] for row in golden()]


def test_a_text_has_the_same_vector_alone_and_in_any_company(model: MiniLM) -> None:
    texts = [row["text"] for row in golden()]
    together = embed(model, *texts[::-1], *texts)
    alone = np.concatenate([embed(model, text) for text in texts])
    assert np.abs(together[len(texts) :] - alone).max() < 1e-6
    assert np.abs(together[: len(texts)][::-1] - alone).max() < 1e-6


def test_many_texts_of_one_length_fall_into_several_groups(model: MiniLM) -> None:
    long = "one two three four five six seven eight " * 12
    vectors = embed(model, *[long] * 7)
    assert np.abs(vectors - embed(model, long)).max() < 1e-6


def test_vectors_have_length_1(model: MiniLM) -> None:
    assert np.linalg.norm(embed(model, "a", "a longer text", ""), axis=1) == pytest.approx(1.0, abs=1e-6)


def test_texts_of_like_meaning_lie_nearer_than_others(model: MiniLM) -> None:
    cat, kitten, stocks = embed(model, "a cat sits on the mat", "a kitten rests on a rug", "stock prices fell sharply")
    assert cat @ kitten > 0.5
    assert cat @ stocks < 0.2


def test_a_long_text_is_cut_at_its_end_and_says_by_how_much(model: MiniLM) -> None:
    (whole,) = model.tokenize(["one two three four"])
    (cut,) = model.tokenize(["one two three four"], limit=4)
    assert (len(whole.ids), whole.cut) == (6, 0)
    assert (len(cut.ids), cut.cut) == (4, 2)
    assert cut.ids == (*whole.ids[:3], whole.ids[-1])


def test_gelu_is_exact_to_a_millionth() -> None:
    x = np.linspace(-12, 12, 4801, dtype=np.float32)
    exact = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.astype(float)]
    gelu(x)
    assert np.abs(x - exact).max() < 1e-6


def test_missing_weights_are_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchmill.local.engines.minilm_model.find_spec", lambda _: None)
    with pytest.raises(WeightsMissing, match=r"locks/minilm\.txt"):
        weights_folder()
