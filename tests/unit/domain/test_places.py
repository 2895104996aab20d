from __future__ import annotations

import pytest

from batchmill.domain.batch import Input
from batchmill.domain.errors import SpecInvalid
from batchmill.domain.places import InputPlaces, bucket_and_key

PLACES = InputPlaces("in", "data", ("theirs", "more"))


@pytest.mark.parametrize(
    "item", [Input("in", "any/key"), Input("data", "uploads/x/f.csv"), Input("theirs", "k"), Input("more", "")]
)
def test_inputs_lie_in_the_input_bucket_the_uploads_and_the_buckets_named(item: Input) -> None:
    PLACES.check(item, "inputs")


@pytest.mark.parametrize(
    "item",
    [
        Input("elsewhere", "k"),
        Input("inn", "k"),
        Input("", "k"),
        Input("data", "uploads"),
        Input("data", "profiles/p.yaml"),
        Input("data", "batches/b/batch.json"),
    ],
)
def test_anything_else_is_refused_with_what_would_do(item: Input) -> None:
    with pytest.raises(SpecInvalid) as refused:
        PLACES.check(item, "inputs")
    assert refused.value.param == "inputs"
    assert str(refused.value).startswith(
        f"inputs: '{item.uri}' lies under none of s3://in/, s3://data/uploads/, s3://theirs/, s3://more/: "
    )


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
