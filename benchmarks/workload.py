"""What everybody is asked to do, one file a round, and the proof that it was done."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from batchmill.local.engines.scripted import MODEL
from batchmill.local.engines.scripted_text import expected_text

ENDPOINT = "/v1/chat/completions"
_SYSTEM = "You sort support tickets. Answer with one word: billing, shipping, returns or technical."
_TEXT = (
    "Ticket {name}. I ordered two lamps nine days ago and the tracking page still says that the parcel is waiting "
    "to be picked up. The shop says it was handed over; the carrier says it never was. I have been charged twice "
    "for delivery as well. Please find out where it is, and tell me when I may expect it."
)


class BenchFailed(click.ClickException):
    """A contender did not do what it was timed for: its time means nothing."""


@dataclass(frozen=True)
class Workload:
    """One round's requests: OpenAI batch lines in `path`, and the answer each must get, by `custom_id`."""

    path: Path
    answers: dict[str, str]

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.answers)


def write(folder: Path, tag: str, rows: int) -> Workload:
    """A file of `rows` chat requests. Those of different tags have nothing in common."""
    path, answers = folder / f"{tag}.jsonl", {}
    with path.open("w") as file:
        for number in range(rows):
            name = f"{tag}-{number}"
            ticket = _TEXT.format(name=name)
            answers[name] = expected_text(f"{_SYSTEM}\n{ticket}")
            messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": ticket}]
            body = {"model": MODEL, "messages": messages, "max_tokens": 16, "temperature": 0}
            line = {"custom_id": name, "method": "POST", "url": ENDPOINT, "body": body}
            file.write(json.dumps(line) + "\n")
    return Workload(path, answers)


def check(who: str, found: Iterable[tuple[str, str]], workload: Workload) -> None:
    """That `found` (custom_id, text) are all the answers, each once. Raises BenchFailed."""
    pairs = list(found)
    if len(pairs) != workload.rows or dict(pairs) != workload.answers:
        raise BenchFailed(f"{who}: {len(pairs)} answers to {workload.rows} requests, or not the right ones")


def read_answers(path: Path) -> Iterable[tuple[str, str]]:
    """(custom_id, text) of a peer's output file."""
    with path.open() as file:
        for line in file:
            row = json.loads(line)
            yield row["custom_id"], row["response"]["choices"][0]["message"]["content"]
