"""Custom ids that occur twice, found in memory that does not grow with them: what does not fit lies on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from types import TracebackType

from batchmill.contracts.plan import PlanDocument
from batchmill.domain.errors import DuplicateIds, InputInvalid
from batchmill.domain.request import Row
from batchmill.domain.span import Span
from batchmill.ports.objects import Objects
from batchmill.ports.tables import Tables
from batchmill.steps.planning.layout import Layout
from batchmill.steps.shard.reading import span_rows
from batchmill.steps.shard.rendering import own_id

LOOKED_BYTES = 64 * 1024 * 1024
"""Inputs of up to this size in all are read for their ids when they are planned; CSV takes longest, some 10 seconds."""

LOOKED_OBJECTS = 500
"""Each is a read or two, of some 20 ms, one after the other."""

TOLD = 5
"""Ids that a refusal names."""

CACHE_KIB = 64 * 1024
"""Of the ids that are held in memory. The others lie in a file without a name, which goes with the process."""


class Seen:
    """The custom_ids seen so far, each with the place where it was seen first."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for line in (
            f"PRAGMA cache_size = -{CACHE_KIB}",
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE seen (id BLOB PRIMARY KEY, place TEXT) WITHOUT ROWID",
            "BEGIN",
        ):
            self._database.execute(line).close()

    def __enter__(self) -> Seen:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()

    def add(self, custom_id: str, place: str) -> str | None:
        """Note an id; returns the place where it was seen before, or None."""
        key = custom_id.encode(errors="surrogatepass")  # JSON's escapes can make half a character
        with closing(self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, place))) as done:
            if done.rowcount:
                return None
        with closing(self._database.execute("SELECT place FROM seen WHERE id = ?", (key,))) as found:
            return str(found.fetchone()[0])


def check_once(objects: Objects, tables: Tables, document: PlanDocument, made: Layout) -> bool:
    """Whether the inputs are small enough to look, and so each custom_id of theirs is one row's alone.

    Raises DuplicateIds naming ids and their places. An input that cannot be read is its rows' matter, not this one's.
    """
    footers = made.footers.values()
    size = sum(footer.bytes for footer in footers) if made.footers else sum(made.extents)
    if not document.own_ids or size > LOOKED_BYTES or len(made.items) > LOOKED_OBJECTS:
        return False
    whole = document.model_copy(update={"objects": tuple(made.items)})
    told: list[str] = []
    count = 0
    with Seen() as seen:
        for row in _rows(objects, tables, whole):
            name = own_id(whole, row)
            earlier = seen.add(name, row.place) if name else None
            if name and earlier:
                count += 1
                told += [f"{name[:100]!r} in {earlier} and {row.place}"] if count <= TOLD else []
    if count:
        inputs = ", ".join(dict.fromkeys(item.uri for item in made.items[:TOLD]))
        more = f" and {count - TOLD:,} more" if count > TOLD else ""
        raise DuplicateIds(
            f"{inputs}: a custom_id stands for one row: {'; '.join(told)}{more}: give each row one of its own",
            "custom_id",
        )
    return True


def _rows(objects: Objects, tables: Tables, document: PlanDocument) -> Iterator[Row]:
    for i, item in enumerate(document.objects):
        with suppress(InputInvalid):
            yield from span_rows(objects, tables, document, Span(i, 0, item.extent, item.first_line))
