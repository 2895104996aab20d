import pytest

from benchmarks.arithmetic import Spread, busy_share, rates, ratios, spread


def test_the_spread_is_of_the_values_in_any_order() -> None:
    assert spread([3.0, 1.0, 10.0]) == Spread(1.0, 3.0, 10.0)
    assert spread([4.0, 2.0]) == Spread(2.0, 3.0, 4.0)
    assert spread([3.0, 1.0, 10.0]).width == 3.0


def test_nothing_has_no_spread() -> None:
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_a_rate_is_rows_by_seconds() -> None:
    assert rates(100, [2.0, 4.0]) == [50.0, 25.0]
    with pytest.raises(ValueError, match="above 0"):
        rates(100, [1.0, 0.0])


def test_ratios_are_taken_pair_by_pair_and_not_of_the_medians() -> None:
    ours, theirs = [10.0, 40.0, 100.0], [10.0, 20.0, 200.0]
    assert ratios(ours, theirs) == [1.0, 2.0, 0.5]
    assert spread(ratios(ours, theirs)).median != spread(ours).median / spread(theirs).median


def test_a_round_without_its_pair_is_no_ratio() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_the_engine_is_wholly_in_use_when_every_place_waits_all_the_time() -> None:
    assert busy_share(rows=320, latency_ms=20.0, window=64, seconds=0.1) == 1.0
    assert busy_share(rows=320, latency_ms=20.0, window=64, seconds=0.4) == 0.25
