"""The scripted engine's prefix cache."""

from __future__ import annotations

from batchmill.local.engines.prefix_cache import PrefixCache

LONG = [f"t{n}" for n in range(10)]


def test_whole_leading_blocks_are_found_the_second_time() -> None:
    cache = PrefixCache(blocks=10, block_tokens=4)
    assert cache.take(LONG) == 0
    assert cache.take(LONG) == 8
    assert cache.take([*LONG[:4], "other", *LONG[5:]]) == 4


def test_a_block_after_a_different_beginning_is_another_block() -> None:
    cache = PrefixCache(blocks=10, block_tokens=4)
    cache.take(LONG)
    assert cache.take(["x", *LONG[1:]]) == 0


def test_the_last_token_is_never_found() -> None:
    cache = PrefixCache(blocks=10, block_tokens=4)
    cache.take(LONG[:8])
    assert cache.take(LONG[:8]) == 7


def test_the_block_used_least_lately_goes_first_and_the_tail_before_the_head() -> None:
    cache = PrefixCache(blocks=3, block_tokens=4)
    cache.take(LONG)  # two blocks
    cache.take(["a"] * 9)  # two more: one of the first goes, its tail
    assert cache.take(LONG) == 4


def test_without_capacity_nothing_is_found() -> None:
    cache = PrefixCache(blocks=0)
    cache.take(LONG * 4)
    assert cache.take(LONG * 4) == 0
