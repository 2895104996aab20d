import io
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from batchmill import console
from batchmill.adapters.arrow import ArrowParts
from batchmill.adapters.error_rows import read_errors
from batchmill.client import Snapshot
from batchmill.domain.batch import Batch, BatchStatus, Counts, Problem
from batchmill.domain.request import Outcome
from batchmill.domain.shard import Progress, ShardState

BATCH = Batch("batch_" + "0" * 24, BatchStatus.COMPLETED, {"endpoint": "/v1/embeddings"}, (), 0.0, 1.0, shards=1)


def snapshot(at: float, ok: int, errors: int = 0, tokens: int = 0, rows: int = 100) -> Snapshot:
    batch = replace(BATCH, status=BatchStatus.IN_PROGRESS)
    return Snapshot(batch.batch_id, at, batch, rows, Progress(ok, errors, tokens, 0), {ShardState.RUNNING: 1})


def test_rates_are_of_the_window_and_promise_the_rest() -> None:
    meter = console.Meter(started=0.0, window_s=10.0)
    meter.update(snapshot(0.0, 0))
    rates = meter.update(snapshot(5.0, 20, tokens=50))
    assert (rates.rows_per_s, rates.tokens_per_s, rates.eta_s, rates.elapsed_s) == (4.0, 10.0, 20.0, 5.0)


def test_old_samples_leave_the_window() -> None:
    meter = console.Meter(started=0.0, window_s=10.0)
    for at, ok in ((0.0, 0), (20.0, 0), (25.0, 50)):
        rates = meter.update(snapshot(at, ok))
    assert rates.rows_per_s == 10.0


def test_nothing_is_promised_without_speed() -> None:
    meter = console.Meter(started=0.0)
    meter.update(snapshot(0.0, 5))
    assert meter.update(snapshot(9.0, 5)).eta_s is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.4, "9.4 s"), (59.0, "59 s"), (65, "1 min 5 s"), (7500, "2 h 5 min")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert console.duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(12, "12 bytes"), (1500, "1.5 kB"), (16_800_000, "16.8 MB")])
def test_sizes_read_well(count: int, text: str) -> None:
    assert console.size(count) == text


def test_a_plain_line_says_all_there_is() -> None:
    line = console.plain_line(snapshot(5.0, 1234, 6, rows=5000), console.Rates(12.0, 3456.0, 313.0, 5.0))
    for part in ("in_progress", "1,240/5,000 rows", "1,234 ok", "6 error", "12 rows/s", "3,456 tokens/s", "ETA 5 min"):
        assert part in line


def test_a_paused_batch_is_said_to_be_so_everywhere_and_keeps_its_status_for_programs() -> None:
    held = replace(snapshot(5.0, 1), batch=replace(BATCH, status=BatchStatus.IN_PROGRESS, paused=True))
    screen = Console(file=io.StringIO(), width=120)
    assert held.batch is not None
    screen.print(console.batch_table([held.batch]))
    screen.print(console.live(held, console.Rates(), 120))
    assert isinstance(screen.file, io.StringIO)
    for text in (screen.file.getvalue(), console.plain_line(held, console.Rates())):
        assert "paused" in text
        assert "in_progress" not in text
    data = console.snapshot_data(held)
    assert (data["status"], data["paused"]) == ("in_progress", True)


def test_the_live_display_shows_the_same_numbers() -> None:
    screen = Console(file=io.StringIO(), width=120)
    screen.print(console.live(snapshot(5.0, 40, 2), console.Rates(8.0, 0.0, None, 5.0), 120))
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    head, bar, numbers = text.splitlines()
    assert "in_progress" in head
    assert set(bar.strip()) <= set("━╺╸ ")
    assert numbers.startswith("42/100 rows")
    assert BATCH.batch_id in text


@pytest.mark.parametrize(("width", "lines"), [(200, 1), (80, 2), (40, 4)])
def test_the_live_display_fits_its_terminal_and_cuts_no_number_in_two(width: int, lines: int) -> None:
    screen = Console(file=io.StringIO(), width=width)
    running = replace(snapshot(5.0, 123_456, 78, rows=1_000_000), states={ShardState.RUNNING: 42})
    rates = console.Rates(1234.0, 567_890.0, 3800.0, 7500.0)
    screen.print(console.live(running, rates, width))
    assert isinstance(screen.file, io.StringIO)
    _, _, *numbers = screen.file.getvalue().splitlines()
    assert "  ".join(line.rstrip() for line in numbers) == console.plain_line(running, rates).split("in_progress  ")[1]
    assert (max(len(line) for line in numbers) <= width, len(numbers)) == (True, lines)


def parts(folder: Path) -> list[Path]:
    results = folder / "results"
    results.mkdir(parents=True)
    outcomes = [
        Outcome("a", 0, 0, "ok", output_text="x"),
        Outcome("b", 0, 1, "error", error_code="invalid_json_line", error_message="line 2: not JSON"),
        Outcome("c", 0, 2, "error", error_code="engine_rejected", error_message="too long"),
        Outcome("d", 0, 3, "error", error_code="invalid_json_line", error_message="line 4: not JSON"),
    ]
    path = results / "part-00000.parquet"
    path.write_bytes(ArrowParts().encode(outcomes, []))
    return [path]


def test_failed_rows_are_counted_by_code_and_the_first_are_shown(tmp_path: Path) -> None:
    counts, first = read_errors(parts(tmp_path), samples=2)
    assert list(counts.items()) == [("invalid_json_line", 2), ("engine_rejected", 1)]
    assert [(row.custom_id, row.message) for row in first] == [("b", "line 2: not JSON"), ("c", "too long")]


def test_the_summary_says_what_where_how_long_and_what_failed(tmp_path: Path) -> None:
    batch = replace(BATCH, counts=Counts(1000, 990, 10), prompt_tokens=5000, problems=(Problem("p", "oh", "x", 3),))
    text = console.summary_text(
        console.Summary(
            batch,
            12.0,
            tmp_path,
            [tmp_path / "results" / "part-00000.parquet"],
            2_000,
            tmp_path / "manifest.json",
            {"invalid_json_line": 10},
            [("row-1", "invalid_json_line", "line 4: not JSON")],
        )
    )
    for part in (
        "completed: batch_",
        "in 12 s",
        "p (x) line 3: oh",
        "1,000: 990 ok, 10 error",
        "5,000 in",
        "10 x invalid_json_line",
        "row-1: line 4: not JSON",
        "and 9 more",
        f"{tmp_path / 'results'} (1 file, 2.0 kB)",
        str(tmp_path / "manifest.json"),
    ):
        assert part in text


def test_a_summary_names_the_most_frequent_error_codes_and_counts_the_others() -> None:
    text = console.summary_text(console.Summary(BATCH, errors={f"code_{n}": 100 - n for n in range(7)}))
    assert text.count("code_") == console.CODES_SHOWN
    assert "100 x code_0" in text
    assert "189 of 2 other codes" in text


def test_a_summary_without_a_copy_says_how_to_get_one() -> None:
    assert f"batchmill results {BATCH.batch_id} -o DIR" in console.summary_text(console.Summary(BATCH))


@pytest.mark.parametrize("name", ["plain", "with space", "it's [odd]"])
def test_the_reading_commands_work_as_printed(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    parts(folder)
    for command in console.reading(folder):
        done = subprocess.run(_with_this_python(command), shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "invalid_json_line" in done.stdout or "custom_id" in done.stdout


def _with_this_python(command: str) -> str:
    import sys

    assert command.startswith("python -c ")
    return shlex.quote(sys.executable) + command.removeprefix("python")


def test_a_batch_as_data_is_flat_and_complete() -> None:
    data = console.batch_data(replace(BATCH, counts=Counts(3, 2, 1)))
    assert (data["status"], data["rows"], data["ok"], data["errors"]) == ("completed", 3, 2, 1)


def test_the_table_keeps_ids_whole() -> None:
    screen = Console(file=io.StringIO(), width=120)
    screen.print(console.batch_table([BATCH]))
    assert isinstance(screen.file, io.StringIO)
    assert BATCH.batch_id in screen.file.getvalue()
