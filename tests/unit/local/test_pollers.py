"""Mappings that AWS would refuse are refused."""

from __future__ import annotations

import pytest

from batchmill.local.pollers import InvalidMapping, QueueMapping


@pytest.mark.parametrize(("batch_size", "window_seconds"), [(1, 0), (10, 0), (11, 1), (10_000, 300)])
def test_what_aws_takes_is_taken(batch_size: int, window_seconds: int) -> None:
    mapping = QueueMapping("url", "arn", "f", batch_size, window_seconds)
    assert (mapping.batch_size, mapping.window_seconds) == (batch_size, window_seconds)


@pytest.mark.parametrize(("batch_size", "window_seconds"), [(0, 0), (10_001, 1), (11, 0), (1, 301)])
def test_what_aws_refuses_is_refused(batch_size: int, window_seconds: int) -> None:
    with pytest.raises(InvalidMapping):
        QueueMapping("url", "arn", "f", batch_size, window_seconds)
