from pathlib import Path

import pytest

from benchmarks import plan
from benchmarks.plan import SCAN, Local
from benchmarks.planning import Cost
from benchmarks.workload import BenchFailed


def cost(cpu: float = 1.0, size: int = 100, requests: int = 3) -> Cost:
    return Cost(cpu, cpu, requests, size, 1, 50_000_000, 40_000_000)


def test_the_work_is_whatever_grew_the_most() -> None:
    assert plan.tenfold(cost(), cost(cpu=2.0, size=500, requests=12)) == 5.0
    assert plan.tenfold(cost(), cost(cpu=11.0)) == 11.0


def test_a_tables_bytes_are_held_against_its_footer_and_a_terabyte_of_lines_against_its_own() -> None:
    table = [one for one in plan.told("parquet", "1 GB", 10**9, cost(size=104), 100) if one.aim]
    assert [(one.value, one.holds) for one in table] == [(1.04, True)]
    lines = [one for one in plan.told("jsonl", "1 TB", 10**12, cost(size=4 * 10**8), None) if one.aim]
    assert [(one.value, one.holds) for one in lines] == [(0.04, False)]


def test_a_scan_is_compared_round_by_round() -> None:
    rounds = [(0.01, {SCAN: 1.0, "other": 0.1}), (0.02, {SCAN: 1.2, "other": 0.1}), (0.01, {SCAN: 0.4, "other": 0.1})]
    found = {one.name: one for one in plan.compared("jsonl", rounds)}
    assert found[f"jsonl: {SCAN}, of planning"].value == 60.0
    assert found[f"jsonl: {SCAN}, of planning"].holds is True
    assert found["jsonl: other, of planning"].aim is None


def test_every_rival_finds_every_row_of_the_local_files_or_is_no_measurement(tmp_path: Path) -> None:
    for made in plan.local_files(tmp_path, 10**6):
        counts = [plan._duckdb(made.path), plan._dataset(made)]
        counts += [] if made.kind == "parquet" else [plan.scanned(made.path)]
        assert set(counts) == {made.rows}
    with pytest.raises(BenchFailed, match="other counts 2 rows of 3"):
        plan.timed({"other": lambda: 2}, Local("jsonl", Path("x"), 3))
