"""batchmill's main job, from a file to results, against named peers on the same engine in the same run.

`make bench`, or `python -m benchmarks.main_job --help`.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks import machine, report, workload
from benchmarks.embedded import embedded_batchmill
from benchmarks.engine import SimulatedEngine, simulated_engine
from benchmarks.measured import Contender, Measured
from benchmarks.peers import peers
from benchmarks.report import Settings
from benchmarks.workload import BenchFailed

OUTPUT = Path("out/bench/main-job.json")


@click.command()
@click.option("--rounds", type=click.IntRange(1, 1000), default=7, show_default=True, help="After a warm-up round.")
@click.option("--rows", type=click.IntRange(1, 1_000_000), default=2000, show_default=True, help="Requests a run.")
@click.option("--window", type=click.IntRange(1, 4096), default=64, show_default=True, help="Requests in flight.")
@click.option(
    "--latency-ms", type=click.FloatRange(0.1, 60_000), default=20.0, show_default=True, help="Of the engine, constant."
)
@click.option("--output", type=click.Path(path_type=Path), default=OUTPUT, show_default=True, metavar="FILE")
def main(rounds: int, rows: int, window: int, latency_ms: float, output: Path) -> None:
    """Time batchmill's main job against an AsyncOpenAI loop and a bare aiohttp loop, on one simulated engine.

    The contenders take turns, round by round, and each run's answers are checked. Nothing is asserted about time.
    """
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # so that nothing is left running
    settings = Settings(rounds, rows, window, latency_ms)
    began, load_before = datetime.now(UTC), machine.load()
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="batchmill-bench-")))
        note("starting the simulated engine and the embedded stack (not counted)")
        engine = held.enter_context(simulated_engine(latency_ms, folder))
        ours = held.enter_context(embedded_batchmill(engine.url, window, folder))
        contenders: list[Contender] = [ours, *peers(engine.url, window)]
        runs = take_turns(contenders, engine, settings, folder)
        note("ending the stack")
        if (peak := engine.peak_in_flight()) > window:
            raise BenchFailed(f"somebody had {peak} requests in flight, not {window}")
    place = {**machine.describe(), "load_before": load_before, "load_after": machine.load()}
    tell(report.findings(settings, contenders, runs), began.isoformat(timespec="seconds"), place, output)


def take_turns(
    contenders: Sequence[Contender], engine: SimulatedEngine, settings: Settings, folder: Path
) -> list[Measured]:
    """A warm-up round, number 0, then the rounds: in each, every contender does the same new file."""
    runs = []
    for number in range(settings.rounds + 1):
        work = workload.write(folder, f"round{number}", settings.rows)
        for contender in contenders:
            own = folder / f"{number}-{contender.name.replace(' ', '-')}"
            own.mkdir()
            runs.append(run := measure(contender, engine, work, own, number))
            title = f"round {number} of {settings.rounds}" if number else "warm-up"
            note(f"{title}: {contender.name} {settings.rows / run.timing.seconds:.0f} rows/s")
    return runs


def measure(
    contender: Contender, engine: SimulatedEngine, work: workload.Workload, folder: Path, number: int
) -> Measured:
    """One run. Raises BenchFailed where the engine was not asked each request exactly once."""
    received, cpu = engine.received(), engine.cpu_seconds()
    timing = contender.run(work, folder)
    spent = engine.cpu_seconds()
    asked = engine.received() - received
    if asked != work.rows:
        raise BenchFailed(f"{contender.name} sent {asked} requests for {work.rows} rows")
    return Measured(contender.name, number, timing, None if cpu is None or spent is None else spent - cpu)


def tell(found: report.Findings, at: str, place: Mapping[str, object], output: Path) -> None:
    """The report: as JSON to `output`, as lines to standard output. `at`: when it began; `place`: the machine."""
    output.parent.mkdir(parents=True, exist_ok=True)
    written = {"at": at, "machine": place, **report.document(found)}
    output.write_text(json.dumps(written, indent=2) + "\n")
    click.echo(f"\n{at}  {', '.join(f'{name} {value}' for name, value in place.items())}")
    click.echo("\n".join(report.lines(found)))
    click.echo(f"written to {output}")


def note(line: str) -> None:
    """A line of progress, to standard error."""
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
