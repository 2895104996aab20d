"""The numbers of a bench target: one list for a program, one table for a person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Number:
    """One number of a report: `value` in `unit`, against `peer` where it is a comparison.

    `aim` is what was aimed at and `holds` whether it was reached; both None where nothing is.
    """

    name: str
    value: float
    unit: str
    peer: str | None = None
    aim: float | None = None
    holds: bool | None = None


def at_most(name: str, value: float, unit: str, aim: float, peer: str | None = None) -> Number:
    """A number that is to be no more than its aim."""
    return Number(name, value, unit, peer, aim, value <= aim)


def at_least(name: str, value: float, unit: str, aim: float, peer: str | None = None) -> Number:
    """A number that is to be no less than its aim."""
    return Number(name, value, unit, peer, aim, value >= aim)


def write(path: Path, numbers: Iterable[Number]) -> None:
    """All of them as JSON: a list of objects, values to six digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [asdict(one) | {"value": float(f"{one.value:.6g}")} for one in numbers]
    path.write_text(json.dumps(rows, indent=2) + "\n")


def lines(numbers: Sequence[Number]) -> Iterable[str]:
    """A line each, with whether the aim holds. An aim that is missed is said, and fails nothing."""
    width = max((len(one.name) for one in numbers), default=0)
    for one in numbers:
        aim = "" if one.aim is None else f"aim {one.aim:g}: {'holds' if one.holds else 'MISSED'}"
        peer = f"({one.peer})" if one.peer else ""
        told = f"  {one.name:<{width}} {_shown(one.value):>13} {one.unit:<16} {aim:<19} {peer}"
        yield told.rstrip()


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.4g}"
