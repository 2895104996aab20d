"""What planning costs: inputs of 1 GB to 1 TB that are stored nowhere, and local files against those who read them.

`make bench-plan`, or `python -m benchmarks.plan --help`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import click
import duckdb
import pyarrow.dataset as ds

from benchmarks import machine, numbers, sparse, tables
from benchmarks.numbers import Number, at_least, at_most
from benchmarks.planning import Case, Cost, Kind
from benchmarks.workload import BenchFailed

OUTPUT = Path("out/bench/plan.json")
GB = 10**9
SIZES = {"1 GB": GB, "10 GB": 10 * GB, "100 GB": 100 * GB, "1 TB": 1000 * GB}
"""Each ten times the one before."""

KINDS: tuple[Kind, ...] = ("jsonl", "csv", "parquet")

GROUP_BYTES = 100 * 1000**2
"""Of a row group of the sparse tables: 1 TB has 10,000."""

LOCAL_GROUPS = 200
BLOCK_BYTES = 8 * 1024 * 1024
ROUNDS = 3

SHARE_AIM, FOOTER_AIM, TENFOLD_AIM, SCAN_AIM = 0.03, 1.05, 10.5, 50.0
FOOTERS = "the footer as it lies in the file"
SCAN = "full newline scan"


@dataclass(frozen=True)
class Local:
    """A file of this machine, of how many rows."""

    kind: Kind
    path: Path
    rows: int


@click.command()
@click.option(
    "--bytes", "size", type=click.IntRange(10**8), default=GB, show_default=True, help="Of a local file of lines."
)
@click.option("--output", type=click.Path(path_type=Path), default=OUTPUT, show_default=True, metavar="FILE")
def main(size: int, output: Path) -> None:
    """Plan sparse inputs against a store that counts, and time reading a local file against planning it.

    Nothing is asserted about time: an aim that is missed is a number.
    """
    with tempfile.TemporaryDirectory(prefix="batchmill-bench-") as scratch:
        folder = Path(scratch)
        found = [*sparse_inputs(folder), *local_inputs(folder, size)]
    numbers.write(output, found)
    click.echo(", ".join(f"{name} {value}" for name, value in machine.describe().items()) + f", load {machine.load()}")
    click.echo("\n".join(numbers.lines(found)))
    click.echo(f"written to {output}")


def sparse_inputs(folder: Path) -> Iterator[Number]:
    """Every format at every size, each planned in a process of its own."""
    for kind in KINDS:
        costs, tails = {}, {}
        for name, size in SIZES.items():
            note(f"planning {kind} of {name}")
            tail = folder / f"{name}.tail" if kind == "parquet" else None
            if tail:
                tails[name] = tail.write_bytes(tables.footer(size // GROUP_BYTES))
            costs[name] = cost(Case(kind, size, str(tail) if tail else None))
        for name, each in costs.items():
            yield from told(kind, name, SIZES[name], each, tails.get(name))
        for (small, one), (large, ten) in pairwise(costs.items()):
            label = f"{kind} {large}: work, of that of {small}"
            yield at_most(label, tenfold(one, ten), "times", TENFOLD_AIM, "the dearest of CPU, bytes, requests")


def told(kind: str, name: str, size: int, each: Cost, footer: int | None) -> Iterator[Number]:
    """The numbers of one sparse input. `footer`: bytes of a table's."""
    label = f"{kind} {name}"
    yield Number(f"{label}: bytes read", each.bytes, "bytes")
    if footer is not None:
        yield at_most(f"{label}: bytes read, of its footer", each.bytes / footer, "times", FOOTER_AIM, FOOTERS)
    else:
        share = 100 * each.bytes / size
        aimed = kind == "jsonl" and size == SIZES["1 TB"]
        shared = f"{label}: share of its bytes read"
        yield at_most(shared, share, "%", SHARE_AIM) if aimed else Number(shared, share, "%")
    yield Number(f"{label}: requests", each.requests, "requests")
    yield Number(f"{label}: shards", each.shards, "shards")
    yield Number(f"{label}: time", 1000 * each.seconds, "ms")
    if each.peak is not None and each.before is not None:
        yield Number(f"{label}: peak memory", each.peak / 1e6, "MB")
        yield Number(f"{label}: of that, by planning", (each.peak - each.before) / 1e6, "MB")


def tenfold(one: Cost, ten: Cost) -> float:
    """How many times dearer the second is, by whatever grew the most."""
    pairs = ((one.cpu_s, ten.cpu_s), (one.bytes, ten.bytes), (one.requests, ten.requests))
    return max(after / before for before, after in pairs)


def local_inputs(folder: Path, size: int) -> Iterator[Number]:
    """Of a file of each format on this machine: planned, scanned, and its rows counted by others, in turns."""
    for made in local_files(folder, size):
        case = Case(made.kind, made.path.stat().st_size, file=str(made.path))
        rivals: dict[str, Callable[[], int]] = {
            f"duckdb {version('duckdb')}": partial(_duckdb, made.path),
            f"pyarrow.dataset {version('pyarrow')}": partial(_dataset, made),
        }
        if made.kind != "parquet":
            rivals = {SCAN: partial(scanned, made.path), **rivals}
        note(f"planning and reading {made.kind} of {case.size / GB:.2g} GB, {ROUNDS} rounds")
        rounds = [(cost(case).seconds, timed(rivals, made)) for _ in range(ROUNDS)]
        yield from compared(f"{made.kind} of {case.size / GB:.2g} GB here", rounds)
        made.path.unlink()


def compared(label: str, rounds: Sequence[tuple[float, Mapping[str, float]]]) -> Iterator[Number]:
    """From seconds by round: ours, and by name the others'."""
    yield Number(f"{label}: planned", 1000 * statistics.median(ours for ours, _ in rounds), "ms")
    for name in rounds[0][1]:
        yield Number(f"{label}: {name}", 1000 * statistics.median(theirs[name] for _, theirs in rounds), "ms")
        dearer = statistics.median(theirs[name] / ours for ours, theirs in rounds)
        against, peer = f"{label}: {name}, of planning", "planning the same file"
        yield (
            at_least(against, dearer, "times", SCAN_AIM, peer)
            if name == SCAN
            else Number(against, dearer, "times", peer)
        )


def timed(rivals: Mapping[str, Callable[[], int]], made: Local) -> dict[str, float]:
    """Seconds of each. Raises BenchFailed for whoever does not find all rows."""
    found = {}
    for name, count in rivals.items():
        began = time.perf_counter()
        rows = count()
        found[name] = time.perf_counter() - began
        if rows != made.rows:
            raise BenchFailed(f"{name} counts {rows} rows of {made.rows} in {made.path.name}")
    return found


def cost(case: Case) -> Cost:
    """Plan in a fresh process. Raises BenchFailed where it fails."""
    asked = json.dumps(asdict(case))
    command = [sys.executable, "-m", "benchmarks.planning", asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"planning {asked} ended with {done.returncode}: {done.stderr[-2000:]}")
    return Cost(**json.loads(done.stdout))


def local_files(folder: Path, size: int) -> Iterable[Local]:
    """One of each format; the lines' of about `size` bytes, written when its turn comes."""
    lines: dict[Kind, tuple[bytes, bytes]] = {
        "jsonl": (sparse.jsonl_tile(), b""),
        "csv": (sparse.csv_tile(), sparse.HEADER),
    }
    for kind, (tile, head) in lines.items():
        path, times = folder / f"local.{kind}", max(1, size // len(tile))
        with path.open("wb") as file:
            file.write(head)
            for _ in range(times):
                file.write(tile)
        yield Local(kind, path, times * tile.count(b"\n"))
    path = folder / "local.parquet"
    yield Local("parquet", path, tables.write(path, LOCAL_GROUPS))


def scanned(path: Path) -> int:
    """Rows, by reading all of a file and counting its line feeds; a CSV's header is none."""
    with path.open("rb", buffering=0) as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK_BYTES), b""))
    return lines - (path.suffix == ".csv")


def _duckdb(path: Path) -> int:
    with duckdb.connect() as database:
        found = database.execute("select count(*) from " + f"'{path}'").fetchone()
    return int(found[0]) if found else 0


def _dataset(made: Local) -> int:
    return int(ds.dataset(made.path, format="json" if made.kind == "jsonl" else made.kind).count_rows())


def note(line: str) -> None:
    """A line of progress, to standard error."""
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
