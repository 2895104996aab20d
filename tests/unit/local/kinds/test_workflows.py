from __future__ import annotations

import pytest

from batchmill.local.intrinsics import TemplateError
from batchmill.local.kinds.workflows import substitute


def test_placeholders_are_filled_in() -> None:
    assert substitute('{"a": "${A}", "b": "${B}/${A}"}', {"A": "x", "B": 2}) == '{"a": "x", "b": "2/x"}'


@pytest.mark.parametrize(
    ("values", "words"),
    [({}, "PlanArn have no value"), ({"PlanArn": "x", "PlanAnr": "x"}, "PlanAnr are not in the definition")],
)
def test_a_misspelt_substitution_is_named(values: dict[str, str], words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        substitute('{"a": "${PlanArn}"}', values)
