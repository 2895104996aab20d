from __future__ import annotations

import pytest

from batchmill.local.intrinsics import TemplateError
from batchmill.local.resources import KINDS, kind_of


def test_a_type_that_the_table_does_not_know_is_named_with_its_logical_id() -> None:
    with pytest.raises(TemplateError, match="Broker: the embedded stack has no AWS::MSK::Cluster"):
        kind_of("Broker", "AWS::MSK::Cluster")


@pytest.mark.parametrize("name", sorted(KINDS))
def test_an_inert_type_says_why_and_no_other_does(name: str) -> None:
    kind = KINDS[name]

    assert (kind.how == "inert") == bool(kind.why)


def test_the_table_is_in_order() -> None:
    assert list(KINDS) == sorted(KINDS)
