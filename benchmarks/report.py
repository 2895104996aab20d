"""The report: for a person as lines, for a program as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.arithmetic import Spread, busy_share, rates, ratios, spread
from benchmarks.measured import Contender, Measured

ENGINE = "SIMULATED: the scripted engine waits and answers, no model runs"
CAVEATS = (
    "The peers neither checkpoint nor resume nor shard, and write to a local file; batchmill does, over the embedded "
    "stack's S3, queue, table and state machine, which run on the same cores as the worker and the engine.",
    "Not counted: starting the stack, starting Python, imports. Counted for batchmill: from the submission of a local "
    "file until its record says completed; for a loop: from reading the file until the last answer is written.",
)


@dataclass(frozen=True)
class Settings:
    """What was asked for. `latency_ms` is the engine's, constant."""

    rounds: int
    rows: int
    window: int
    latency_ms: float


@dataclass(frozen=True)
class Standing:
    """One contender over all rounds.

    `engine_busy`: share of the engine's places in use; `engine_cpu`: cores that it took; `peak_rss`: bytes. Both of
    these are None where the system does not say. `phases`: medians, in seconds; empty for who has none.
    """

    name: str
    what: str
    rows_per_s: Spread
    engine_busy: float
    engine_cpu: float | None
    peak_rss: int | None
    phases: dict[str, float]


@dataclass(frozen=True)
class Findings:
    """Everything that was found. `ratios`: by peer, rows/s of the first contender by the peer's, round by round."""

    settings: Settings
    standings: Sequence[Standing]
    ratios: dict[str, Spread]
    runs: Sequence[Measured]
    warm_up: Sequence[Measured]


def findings(settings: Settings, contenders: Sequence[Contender], runs: Sequence[Measured]) -> Findings:
    """From all runs, those of round 0 (the warm-up) kept apart. The first contender is compared with the others."""
    counted = [run for run in runs if run.round]
    standings = [standing(one, [run for run in counted if run.contender == one.name], settings) for one in contenders]
    ratio = compared(counted, contenders[0].name)
    return Findings(settings, standings, ratio, counted, [run for run in runs if not run.round])


def standing(contender: Contender, runs: Sequence[Measured], settings: Settings) -> Standing:
    """Summed up from a contender's runs, one a round."""
    seconds = [run.timing.seconds for run in runs]
    cpu = [run.engine_cpu_s / run.timing.seconds for run in runs if run.engine_cpu_s is not None]
    rss = [run.timing.peak_rss for run in runs if run.timing.peak_rss is not None]
    names = runs[0].timing.phases
    median = spread(seconds).median
    return Standing(
        contender.name,
        contender.what,
        spread(rates(settings.rows, seconds)),
        busy_share(settings.rows, settings.latency_ms, settings.window, median),
        spread(cpu).median if cpu else None,
        max(rss, default=None),
        {name: spread([run.timing.phases[name] for run in runs]).median for name in names},
    )


def compared(runs: Sequence[Measured], ours: str) -> dict[str, Spread]:
    """By peer: rows/s of ours by theirs, of the same round."""
    seconds: dict[str, list[float]] = {}
    for run in sorted(runs, key=lambda run: run.round):
        seconds.setdefault(run.contender, []).append(run.timing.seconds)
    # Rows/s of ours by theirs is seconds of theirs by ours: the rows are the same.
    return {name: spread(ratios(theirs, seconds[ours])) for name, theirs in seconds.items() if name != ours}


def document(found: Findings) -> dict[str, Any]:
    """All of it as JSON-able data."""
    return {"engine": ENGINE, "caveats": list(CAVEATS), **asdict(found)}


def lines(found: Findings) -> Iterable[str]:
    """The report for a person."""
    yield from _setting(found.settings, found.standings)
    yield ""
    yield from _table(found.standings)
    yield ""
    yield from _ratios(found)
    yield ""
    yield from _remarks(found)
    yield ""
    yield from (line for caveat in CAVEATS for line in textwrap.wrap(caveat, 110))


def _setting(settings: Settings, standings: Sequence[Standing]) -> Iterable[str]:
    ceiling = settings.window / settings.latency_ms * 1000
    yield f"{'engine':<17} {ENGINE}; {settings.latency_ms:g} ms a request: at most {ceiling:.0f} rows/s"
    yield f"{'a run':<17} {settings.rows} chat requests, {settings.window} in flight"
    yield f"{'rounds':<17} {settings.rounds} after a warm-up; in each, the contenders take turns on the same file"
    yield from (f"{one.name:<17} {one.what}" for one in standings)


def _table(standings: Sequence[Standing]) -> Iterable[str]:
    heads = ("rows/s: min", "median", "max", "engine in use", "engine CPU", "peak RSS")
    yield "{:<17} {:>11} {:>8} {:>8} {:>14} {:>11} {:>9}".format("", *heads)
    for one in standings:
        rate, cpu = one.rows_per_s, "" if one.engine_cpu is None else f"{one.engine_cpu:.2f}"
        rss = "" if one.peak_rss is None else f"{one.peak_rss / 1e6:.0f} MB"
        yield (
            f"{one.name:<17} {rate.min:>11.0f} {rate.median:>8.0f} {rate.max:>8.0f} "
            f"{one.engine_busy:>14.0%} {cpu:>11} {rss:>9}"
        )


def _ratios(found: Findings) -> Iterable[str]:
    yield f"{'rows/s, pair by pair':<31} {'min':>11} {'median':>8} {'max':>8}"
    for name, value in found.ratios.items():
        pair = f"{found.standings[0].name} / {name}"
        yield f"{pair:<31} {value.min:>11.2f} {value.median:>8.2f} {value.max:>8.2f}"


def _remarks(found: Findings) -> Iterable[str]:
    noise = ", ".join(f"{one.name} {one.rows_per_s.width:.0%}" for one in found.standings)
    yield f"{'noise':<17} (max - min) / median of rows/s: {noise}"
    cold = ", ".join(f"{run.contender} {found.settings.rows / run.timing.seconds:.0f}" for run in found.warm_up)
    yield f"{'warm-up':<17} not counted above; rows/s right after the stack's start: {cold}"
    for one in found.standings:
        if one.phases:
            where = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in one.phases.items())
            yield f"{one.name:<17} where the time went, medians: {where}"
