"""What the scripted engine was asked, and what it answered: the proof that nothing was sent twice."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Arrival:
    """One request as it came in."""

    number: int
    """Among all since the engine's start, from 1."""
    occurrence: int
    """Among those with the same body, over all lives of the engine that share a journal, from 1."""
    digest: str
    """`body_digest` of the body."""
    markers: tuple[str, ...]
    """The markers in its prompt, such as row-17 for `[[row-17]]`."""


def body_digest(body: Mapping[str, object]) -> str:
    """sha256, in hex, of the body with its keys sorted: equal for equal requests, however they were written."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Ledger:
    """Counts requests received and completed, by body and by marker.

    With a journal, a file, the counts outlive the engine's death: each line is written before anything else happens.
    """

    def __init__(self, marker_pattern: str, journal: Path | None = None) -> None:
        self._pattern = re.compile(marker_pattern)
        self._number = 0
        self._totals: Counter[str] = Counter()
        self._requests: dict[str, Counter[str]] = {}
        self._markers: dict[str, Counter[str]] = {}
        self._journal = journal
        if journal is not None and journal.exists():
            for line in journal.read_text().splitlines():
                event, digest, markers = json.loads(line)
                self._count(event, digest, markers)

    def receive(self, body: Mapping[str, object], prompt: str) -> Arrival:
        """Note a request; says which it is."""
        self._number += 1
        digest = body_digest(body)
        markers = tuple(dict.fromkeys(self._pattern.findall(prompt)))
        self._note("received", digest, markers)
        return Arrival(self._number, self._requests[digest]["received"], digest, markers)

    def complete(self, arrival: Arrival) -> None:
        """Note that its answer, a whole one, was handed over."""
        self._note("completed", arrival.digest, arrival.markers)

    def fault(self, kind: str) -> None:
        """Note a fault."""
        self._totals[f"fault:{kind}"] += 1

    def stats(self) -> dict[str, object]:
        """`totals`, and `by_request` (digest) and `by_marker`, each {"received": n, "completed": n}."""
        return {
            "totals": dict(self._totals),
            "by_request": {digest: dict(counts) for digest, counts in self._requests.items()},
            "by_marker": {marker: dict(counts) for marker, counts in self._markers.items()},
        }

    def _note(self, event: str, digest: str, markers: Sequence[str]) -> None:
        if self._journal is not None:
            with self._journal.open("a") as file:
                file.write(json.dumps([event, digest, markers]) + "\n")
        self._count(event, digest, markers)

    def _count(self, event: str, digest: str, markers: Sequence[str]) -> None:
        self._totals[event] += 1
        self._requests.setdefault(digest, Counter())[event] += 1
        for marker in markers:
            self._markers.setdefault(marker, Counter())[event] += 1
