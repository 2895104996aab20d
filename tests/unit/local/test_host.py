from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchmill.local.host import physical_name

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABC", min_size=1, max_size=90)


def test_a_physical_name_tells_stack_and_logical_id() -> None:
    assert physical_name("mill", "IntakeQueue", 80).startswith("mill-IntakeQueue-")


def test_two_resources_never_share_a_name() -> None:
    long = "Q" * 100

    assert physical_name("mill", long + "1", 63) != physical_name("mill", long + "2", 63)
    assert physical_name("mill", "Queue", 80) != physical_name("other", "Queue", 80)


@given(NAMES, NAMES, st.sampled_from([63, 64, 80, 128, 255]))
def test_a_physical_name_keeps_to_its_limit_and_stays_the_same(stack: str, logical_id: str, limit: int) -> None:
    name = physical_name(stack, logical_id, limit)

    assert len(name) <= limit
    assert name == physical_name(stack, logical_id, limit)
    assert "--" not in name


@pytest.mark.parametrize("limit", [63, 80])
def test_a_long_stack_name_leaves_room_for_the_logical_id(limit: int) -> None:
    name = physical_name("a-very-long-stack-name-" * 5, "Queue", limit)

    assert "-Queue-" in name
