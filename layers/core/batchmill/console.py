"""What a person sees: progress while a batch runs, and the summary at its end. Nothing here does any work."""

from __future__ import annotations

import glob
import json
import shlex
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batchmill.client import Snapshot
from batchmill.domain.batch import Batch
from batchmill.domain.shard import ShardState

_STYLES = {"completed": "green", "failed": "red", "expired": "red"}
_STYLES |= dict.fromkeys(("cancelled", "cancelling", "paused"), "yellow")


def standing(batch: Batch | None) -> str:
    """A batch's status in a word for a person; `queued` while it has no record, `paused` where it is."""
    if batch is None:
        return "queued"
    return "paused" if batch.paused else batch.status.value


@dataclass(frozen=True)
class Rates:
    """Speed of late, and what it promises. `eta_s` is None while nothing can be said; times in seconds."""

    rows_per_s: float = 0.0
    tokens_per_s: float = 0.0
    eta_s: float | None = None
    elapsed_s: float = 0.0


class Meter:
    """Turns snapshots into rates, over a sliding window. Workers report every few seconds, so it must be longer."""

    def __init__(self, started: float, window_s: float = 30.0) -> None:
        self._started, self._window = started, window_s
        self._seen: deque[tuple[float, int, int]] = deque()

    def update(self, snapshot: Snapshot) -> Rates:
        """Note a snapshot; returns the rates as of it."""
        tokens = snapshot.progress.prompt_tokens + snapshot.progress.completion_tokens
        self._seen.append((snapshot.at, snapshot.done, tokens))
        while len(self._seen) > 2 and snapshot.at - self._seen[0][0] > self._window:
            self._seen.popleft()
        at, done, spent = self._seen[0]
        seconds = snapshot.at - at
        if seconds <= 0:
            return Rates(elapsed_s=snapshot.at - self._started)
        rows_per_s = max(snapshot.done - done, 0) / seconds
        left = snapshot.rows - snapshot.done
        eta = left / rows_per_s if rows_per_s > 0 and left > 0 and not snapshot.final else None
        return Rates(rows_per_s, max(tokens - spent, 0) / seconds, eta, snapshot.at - self._started)


NAME_WIDTH = 24
"""Characters of a batch's name in the table: the id and the counts are what somebody looks for."""


def batch_table(batches: Sequence[Batch]) -> RenderableType:
    """The batches as a table, in the order given."""
    table = Table(box=None, pad_edge=False)
    for name in ("batch", "status", "created"):
        table.add_column(name, no_wrap=True)
    table.add_column("name", no_wrap=True, max_width=NAME_WIDTH, overflow="ellipsis")
    for name in ("rows", "ok", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    for batch in batches:
        created = datetime.fromtimestamp(batch.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        status = Text(standing(batch), style=_STYLES.get(standing(batch), ""))
        counts = (batch.counts.total, batch.counts.completed, batch.counts.failed)
        table.add_row(batch.batch_id, status, created, batch.name, *(number(count) for count in counts))
    return table


def number(value: float) -> str:
    """`1,234`; below ten one decimal where it is not whole."""
    return f"{value:.1f}" if 0 < value < 10 and value != int(value) else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """`12.3 s`, `4 min 5 s`, `2 h 3 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(count: int) -> str:
    """Bytes in decimal units."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def _shards(snapshot: Snapshot) -> str:
    states = snapshot.states or {}
    total = sum(states.values())
    if not total:
        return ""
    running = states.get(ShardState.RUNNING, 0)
    return f"shards {number(states.get(ShardState.COMMITTED, 0))}/{number(total)} done, {number(running)} running"


def _fields(snapshot: Snapshot, rates: Rates) -> list[str]:
    total = f"/{number(snapshot.rows)}" if snapshot.rows else ""
    fields = [
        f"{number(snapshot.done)}{total} rows",
        f"{number(snapshot.progress.ok)} ok",
        f"{number(snapshot.progress.errors)} error",
        f"{number(rates.rows_per_s)} rows/s",
        f"{number(rates.tokens_per_s)} tokens/s",
        _shards(snapshot),
        f"ETA {duration(rates.eta_s)}" if rates.eta_s is not None else "",
    ]
    return [text for text in fields if text]


def plain_line(snapshot: Snapshot, rates: Rates) -> str:
    """One line for a log: elapsed time, status, counts."""
    return "  ".join([f"[{duration(rates.elapsed_s)}]", standing(snapshot.batch), *_fields(snapshot, rates)])


def live(snapshot: Snapshot, rates: Rates, width: int) -> RenderableType:
    """The live display of a terminal `width` characters wide: a line of state, a bar, the numbers, none cut in two."""
    head = Table.grid(padding=(0, 2))
    for _ in range(3):
        head.add_column(no_wrap=True)
    head.add_row(
        Text(standing(snapshot.batch), style=_STYLES.get(standing(snapshot.batch), "cyan")),
        Text(snapshot.batch_id, style="dim"),
        Text(duration(rates.elapsed_s)),
    )
    total = max(snapshot.rows, snapshot.done, 1)
    started = snapshot.batch is not None and snapshot.rows > 0
    bar = Table.grid()  # a row of its own: a bar alone does not end its line
    bar.add_row(ProgressBar(total=total, completed=snapshot.done, width=60, pulse=not started and not snapshot.final))
    lines = _packed(_fields(snapshot, rates), width)
    return Group(head, bar, *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))


def _packed(fields: Sequence[str], width: int) -> list[str]:
    """The fields in as few lines as fit, a field never over two of them."""
    lines: list[str] = []
    for field_ in fields:
        if lines and len(lines[-1]) + 2 + len(field_) <= width:
            lines[-1] += "  " + field_
        else:
            lines.append(field_)
    return lines


CODES_SHOWN = 5
"""Error codes that a summary names, the most frequent first."""


@dataclass(frozen=True)
class Summary:
    """A batch's end. `seconds` from the submission; `folder` and `files` where results were copied to.

    `errors` counts failed rows by code, the most frequent first; `samples` are the first of them as (custom_id, code,
    message).
    """

    batch: Batch
    seconds: float | None = None
    folder: Path | None = None
    files: Sequence[Path] = ()
    file_bytes: int = 0
    manifest: Path | None = None
    errors: Mapping[str, int] = field(default_factory=dict)
    samples: Sequence[tuple[str, str, str]] = ()


def summary_text(summary: Summary) -> str:
    """The summary for a person."""
    batch, counts = summary.batch, summary.batch.counts
    took = f" in {duration(summary.seconds)}" if summary.seconds is not None else ""
    lines = [f"{batch.status.value}: {batch.batch_id}{took}"]
    lines += [f"  problem   {_problem(item.code, item.message, item.param, item.line)}" for item in batch.problems]
    lines.append(f"  rows      {number(counts.total)}: {number(counts.completed)} ok, {number(counts.failed)} error")
    if summary.seconds and counts.total:
        lines[-1] += f" ({number(counts.total / summary.seconds)} rows/s)"
    lines.append(f"  tokens    {number(batch.prompt_tokens)} in, {number(batch.completion_tokens)} out")
    lines += _error_lines(summary)
    lines += _place_lines(summary)
    return "\n".join(lines)


def _problem(code: str, message: str, param: str | None, line: int | None) -> str:
    place = "".join([f" ({param})" if param else "", f" line {line}" if line else ""])
    return f"{code}{place}: {message}"


def _error_lines(summary: Summary) -> list[str]:
    codes = list(summary.errors.items())
    lines = [f"  error     {number(count)} x {code}" for code, count in codes[:CODES_SHOWN]]
    if other := codes[CODES_SHOWN:]:
        lines.append(f"  error     {number(sum(count for _, count in other))} of {len(other)} other codes")
    lines += [f"            {name}: {message} [{code}]" for name, code, message in summary.samples]
    more = sum(summary.errors.values()) - len(summary.samples)
    if summary.samples and more > 0:
        lines.append(f"            and {number(more)} more: status = 'error' in the results")
    return lines


def _place_lines(summary: Summary) -> list[str]:
    if summary.folder is None and summary.batch.shards:
        return [f"  results   batchmill results {summary.batch.batch_id} -o DIR"]
    if summary.folder is None or not summary.files:
        return []
    plural = "file" if len(summary.files) == 1 else "files"
    lines = [f"  results   {summary.folder / 'results'} ({len(summary.files)} {plural}, {size(summary.file_bytes)})"]
    if summary.manifest is not None:
        lines.append(f"  manifest  {summary.manifest}")
    duckdb, pandas = reading(summary.folder)
    return [*lines, f"  read it   {duckdb}", f"            {pandas}"]


def reading(folder: Path) -> tuple[str, str]:
    """Two commands for a shell that read the results in `folder`: by duckdb and by pandas."""
    pattern = json.dumps(f"{glob.escape(str(folder / 'results'))}/*.parquet", ensure_ascii=False)
    place = json.dumps(str(folder / "results"), ensure_ascii=False)
    duckdb = f"import duckdb; print(duckdb.read_parquet({pattern}).limit(5))"
    pandas = f"import pandas; print(pandas.read_parquet({place}).head())"
    return f"python -c {shlex.quote(duckdb)}", f"python -c {shlex.quote(pandas)}"


def summary_data(summary: Summary) -> dict[str, object]:
    """The summary for a program, as JSON-able data."""
    return {
        **batch_data(summary.batch),
        "seconds": round(summary.seconds, 3) if summary.seconds is not None else None,
        "results": [str(path) for path in summary.files],
        "manifest": str(summary.manifest) if summary.manifest else None,
        "errors_by_code": dict(summary.errors),
        "first_errors": [
            {"custom_id": name, "code": code, "message": message} for name, code, message in summary.samples
        ],
    }


def batch_data(batch: Batch) -> dict[str, object]:
    """A batch for a program, as JSON-able data. Times are seconds since the epoch."""
    return {
        "batch_id": batch.batch_id,
        "status": batch.status.value,
        "paused": batch.paused,
        "name": batch.name,
        "profile": batch.profile,
        "endpoint": batch.spec.get("endpoint", "/v1/chat/completions"),
        "inputs": [item.uri for item in batch.inputs],
        "run": batch.run,
        "rows": batch.counts.total,
        "ok": batch.counts.completed,
        "errors": batch.counts.failed,
        "shards": batch.shards,
        "prompt_tokens": batch.prompt_tokens,
        "completion_tokens": batch.completion_tokens,
        "created_at": batch.created_at,
        "deadline": batch.deadline,
        "times": dict(batch.times),
        "problems": [
            {"code": item.code, "message": item.message, "param": item.param, "line": item.line}
            for item in batch.problems
        ],
    }


def snapshot_data(snapshot: Snapshot, rates: Rates | None = None) -> dict[str, object]:
    """A batch in progress for a program: `batch_data` with the rows finished so far."""
    data = batch_data(snapshot.batch) if snapshot.batch else {"batch_id": snapshot.batch_id}
    data |= {"status": snapshot.status, "rows": snapshot.rows}
    data |= {"ok": snapshot.progress.ok, "errors": snapshot.progress.errors}
    data |= {
        "prompt_tokens": snapshot.progress.prompt_tokens,
        "completion_tokens": snapshot.progress.completion_tokens,
        "shard_states": {state.value: count for state, count in (snapshot.states or {}).items() if count},
    }
    if rates is not None:
        data |= {"rows_per_s": rates.rows_per_s, "tokens_per_s": rates.tokens_per_s, "eta_s": rates.eta_s}
    return data
