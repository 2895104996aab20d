"""What a row costs: read, checked and rendered against bare orjson, and results to Parquet against bare pyarrow.

`make bench-rows`, or `python -m benchmarks.rows --help`.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import click
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from batchmill.adapters.arrow import ArrowParts, results_schema
from batchmill.domain.formats import Format
from batchmill.domain.request import Outcome
from benchmarks import machine, numbers
from benchmarks.numbers import Number, at_least, at_most
from benchmarks.reading import file_of, requests
from benchmarks.workload import BenchFailed

OUTPUT = Path("out/bench/rows.json")
KINDS: tuple[Format, ...] = ("openai", "jsonl")
PARAGRAPHS = (2, 20, 200)
"""Of a ticket's text, some 200 characters each: a short ticket, a page, a document."""

CHARACTERS = 12_000_000
"""Of each file that is read, about."""

MEMORY_ROWS = (10_000, 100_000, 1_000_000)
RESULT_ROWS = 50_000
COLUMNS = ("id", "subject")
READ_AIM, WRITE_AIM, FLAT_AIM = 1.5, 0.7, 1.1


@click.command()
@click.option("--rounds", type=click.IntRange(1, 100), default=7, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=OUTPUT, show_default=True, metavar="FILE")
def main(rounds: int, output: Path) -> None:
    """Time rows in and results out, ours and the bare library taking turns; the processor's time, not the clock's.

    Nothing is asserted about time: an aim that is missed is a number.
    """
    found = [*reading(rounds), *writing(rounds), *memory()]
    numbers.write(output, found)
    click.echo(", ".join(f"{name} {value}" for name, value in machine.describe().items()) + f", load {machine.load()}")
    click.echo("\n".join(numbers.lines(found)))
    click.echo(f"written to {output}")


def reading(rounds: int) -> Iterator[Number]:
    """Read, check and render, against loads and dumps of the same lines."""
    peer = f"orjson {version('orjson')}: loads + dumps of the same lines"
    for kind in KINDS:
        for paragraphs in PARAGRAPHS:
            rows = CHARACTERS // (200 * paragraphs)
            tile = file_of(kind, rows, paragraphs)
            label = f"{kind}, {len(tile) // rows:,} bytes a row"
            note(label)
            times = in_turns(rounds, partial(rendered, kind, tile), partial(bare_json, tile), rows)
            yield Number(f"{label}: read, check, render", median(times, 0) / rows * 1e6, "CPU us a row")
            yield Number(f"{label}: bare", median(times, 1) / rows * 1e6, "CPU us a row", peer)
            ratio = statistics.median(mine / theirs for mine, theirs in times)
            yield at_most(f"{label}: of bare", ratio, "times", READ_AIM, peer)


def writing(rounds: int) -> Iterator[Number]:
    """Outcomes to Parquet, against pyarrow given the same values as lists, column by column."""
    note("results to Parquet")
    outcomes, parts = results(RESULT_ROWS), ArrowParts()
    lists = as_lists(outcomes)
    peer = f"pyarrow {version('pyarrow')}: from lists of values, the same columns"
    times = in_turns(
        rounds,
        lambda: len(parts.encode(outcomes, COLUMNS)) and RESULT_ROWS,
        lambda: len(bare_parquet(lists)) and RESULT_ROWS,
        RESULT_ROWS,
    )
    yield Number("results to Parquet", median(times, 0) / RESULT_ROWS * 1e6, "CPU us a row")
    yield Number("results to Parquet: bare", median(times, 1) / RESULT_ROWS * 1e6, "CPU us a row", peer)
    speed = statistics.median(theirs / mine for mine, theirs in times)
    yield at_least("results to Parquet: speed, of bare", speed, "times", WRITE_AIM, peer)


def memory() -> Iterator[Number]:
    """The most memory that a process of its own held, reading so many rows one after the other."""
    peaks = []
    for rows in MEMORY_ROWS:
        note(f"memory of {rows:,} rows")
        command = [sys.executable, "-m", "benchmarks.reading", str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchFailed(f"reading {rows} rows ended with {done.returncode}: {done.stderr[-2000:]}")
        before, peak = json.loads(done.stdout)
        if peak is None or before is None:
            return
        peaks.append(peak)
        yield Number(f"{rows:,} rows: peak memory", peak / 1e6, "MB")
        yield Number(f"{rows:,} rows: of that, by reading", (peak - before) / 1e6, "MB")
    label = f"{MEMORY_ROWS[-1]:,} rows: peak memory, of that of {MEMORY_ROWS[-2]:,}"
    yield at_most(label, peaks[-1] / peaks[-2], "times", FLAT_AIM)


def in_turns(rounds: int, ours: Callable[[], int], theirs: Callable[[], int], rows: int) -> list[tuple[float, float]]:
    """CPU seconds of both in each round, after one that does not count. Raises BenchFailed for rows lost."""
    times = []
    for number in range(rounds + 1):
        pair = []
        for run in (ours, theirs):
            gc.collect()
            began = time.process_time()
            done = run()
            pair.append(time.process_time() - began)
            if done != rows:
                raise BenchFailed(f"{done} rows of {rows}")
        if number:
            times.append((pair[0], pair[1]))
    return times


def median(times: Sequence[tuple[float, float]], which: int) -> float:
    """Of ours (0) or theirs (1)."""
    return statistics.median(pair[which] for pair in times)


def rendered(kind: Format, data: bytes) -> int:
    """How many rows of the lines became requests."""
    return sum(1 for _ in requests(kind, data, len(data)))


def bare_json(data: bytes) -> int:
    """Each line to an object and back; how many."""
    return sum(1 for line in data.splitlines() if orjson.dumps(orjson.loads(line)))


def results(rows: int) -> list[Outcome]:
    """Outcomes as a chat model's answers give them."""
    return [_result(n) for n in range(rows)]


def as_lists(outcomes: Sequence[Outcome]) -> dict[str, list[object]]:
    """The values of each column of the results."""
    names = results_schema(COLUMNS).names
    return {name: [one.columns[name] if name in COLUMNS else getattr(one, name) for one in outcomes] for name in names}


def bare_parquet(lists: dict[str, list[object]]) -> bytes:
    """A file of them, with the compression of ours and pyarrow's own choice of dictionaries."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(lists, schema=results_schema(COLUMNS)), sink, compression="zstd")
    return bytes(sink.getvalue())


def _result(n: int) -> Outcome:
    text = f"shipping: parcel {n} waits at the carrier since day {n % 31}"
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 90 + n % 50, "completion_tokens": 12, "total_tokens": 102 + n % 50}
    answer = {"id": f"chatcmpl-{n}", "object": "chat.completion", "model": "m", "choices": choices, "usage": usage}
    return Outcome(
        custom_id=f"ticket-{n:07d}",
        shard=3,
        row=n,
        status="ok",
        columns={"id": f"ticket-{n:07d}", "subject": "a parcel is late"},
        output_text=text,
        response=json.dumps(answer),
        finish_reason="stop",
        prompt_tokens=90 + n % 50,
        completion_tokens=12,
        latency_ms=200 + n % 97,
        model="m",
        backend="pool",
        attempt=1,
        request_sha256=f"{n:064x}",
        response_sha256=f"{n * 7919:064x}",
    )


def note(line: str) -> None:
    """A line of progress, to standard error."""
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
