from __future__ import annotations

import pytest

from batchmill.domain.places import InputPlaces, bucket_and_key

PLACES = InputPlaces("input", "data")


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://b/a.csv", ("b", "a.csv")),
        ("s3://b/a folder/ü+1%20?#x.csv", ("b", "a folder/ü+1%20?#x.csv")),
        ("s3://b/prefix/", ("b", "prefix/")),
        ("s3://b//a", ("b", "/a")),
        ("s3://b/", ("b", "")),
        ("s3://b/" + "k" * 1024, ("b", "k" * 1024)),
    ],
)
def test_a_uri_is_a_bucket_and_a_key_as_it_is(uri: str, parts: tuple[str, str]) -> None:
    assert bucket_and_key(uri) == parts


@pytest.mark.parametrize("uri", ["", "b/k", "s3://", "s3://b", "s3:///k", "https://b/k", "s3://b/" + "ü" * 513])
def test_anything_else_is_none(uri: str) -> None:
    with pytest.raises(ValueError, match="not an s3://bucket/key"):
        bucket_and_key(uri)


def test_inputs_lie_in_the_input_bucket_or_among_the_uploads() -> None:
    assert PLACES.allow("input", "any/thing")
    assert PLACES.allow("data", "uploads/abc/x.csv")
    assert not PLACES.allow("data", "batches/b/results/part-00000.parquet")
    assert not PLACES.allow("data", "")
    assert not PLACES.allow("elsewhere", "uploads/x")
    assert str(PLACES) == "s3://input/, s3://data/uploads/"
