from __future__ import annotations

import pytest

from batchmill.domain.batch import Input
from batchmill.domain.errors import SpecInvalid
from batchmill.domain.places import InputPlaces

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
