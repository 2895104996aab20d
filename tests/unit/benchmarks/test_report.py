import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import report, workload
from benchmarks.measured import Measured, Timing
from benchmarks.report import Settings
from benchmarks.workload import BenchFailed, Workload

SETTINGS = Settings(rounds=2, rows=100, window=10, latency_ms=20.0)


@dataclass(frozen=True)
class Named:
    name: str
    what: str = "what it does"

    def run(self, workload: Workload, folder: Path) -> Timing:
        raise NotImplementedError


def run(contender: str, number: int, seconds: float, rss: int | None = None) -> Measured:
    return Measured(contender, number, Timing(seconds, rss), engine_cpu_s=seconds / 2)


WARM_UP = [run("ours", 0, 100.0), run("peer", 0, 1.0)]
RUNS = [run("ours", 1, 2.0, 7_000_000), run("peer", 1, 1.0), run("peer", 2, 8.0), run("ours", 2, 4.0, 9_000_000)]
FOUND = report.findings(SETTINGS, [Named("ours"), Named("peer")], [*WARM_UP, *RUNS])


def test_the_ratio_is_ours_by_theirs_of_the_same_round_whatever_the_order() -> None:
    assert (FOUND.ratios["peer"].min, FOUND.ratios["peer"].max) == (0.5, 2.0)
    assert list(FOUND.ratios) == ["peer"]


def test_a_contender_is_summed_up_over_its_rounds_without_the_warm_up() -> None:
    ours = FOUND.standings[0]
    assert (ours.rows_per_s.min, ours.rows_per_s.max) == (25.0, 50.0)
    assert (ours.engine_cpu, ours.peak_rss) == (0.5, 9_000_000)


def test_the_report_says_that_the_engine_is_simulated_and_what_the_peers_lack() -> None:
    text = " ".join(report.lines(FOUND))
    assert "SIMULATED" in text
    assert "neither checkpoint nor resume nor shard" in text


def test_the_written_report_holds_the_ratios_and_every_run() -> None:
    written = json.loads(json.dumps(report.document(FOUND)))
    assert written["ratios"]["peer"]["max"] == 2.0
    assert [len(written[name]) for name in ("runs", "warm_up")] == [4, 2]


def test_a_run_that_lost_doubled_or_mixed_up_an_answer_is_no_measurement(tmp_path: Path) -> None:
    work = workload.write(tmp_path, "tag", 3)
    right = list(work.answers.items())
    workload.check("who", right, work)
    for wrong in (right[:2], [*right, right[0]], [*right[:2], (right[2][0], "another")]):
        with pytest.raises(BenchFailed, match="who"):
            workload.check("who", wrong, work)
