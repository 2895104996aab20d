from __future__ import annotations

import pytest

from batchmill.contracts.spec import parse_spec
from batchmill.domain.errors import SpecInvalid, StreamingUnsupported

INPUT = {"endpoint": "/v1/embeddings", "input": "{{ a }}"}


def test_a_model_among_the_params_is_refused_with_the_field_that_it_belongs_to() -> None:
    with pytest.raises(SpecInvalid, match=r"^tickets\.yaml: params: .*write model beside params \(--model\)"):
        parse_spec({**INPUT, "params": {"model": "another"}}, "tickets.yaml")


@pytest.mark.parametrize("field", ["params", "body"])
def test_a_stream_is_refused_by_a_code_of_its_own(field: str) -> None:
    asked = {"params": {**INPUT, "params": {"stream": True}}, "body": {"body": {"messages": [], "stream": True}}}[field]
    with pytest.raises(StreamingUnsupported, match=f"^options: {field}: stream must not be set") as refused:
        parse_spec(asked, "options")
    assert refused.value.code == "streaming_unsupported"


def test_a_stream_that_is_refused_anyway_may_be_said() -> None:
    assert parse_spec({**INPUT, "params": {"stream": False}}, "options").params == {"stream": False}


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_a_number_that_json_does_not_have_is_refused(number: float) -> None:
    with pytest.raises(SpecInvalid, match="holds what JSON cannot"):
        parse_spec({**INPUT, "params": {"temperature": number}}, "options")
