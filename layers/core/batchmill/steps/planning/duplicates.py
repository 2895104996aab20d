"""Custom ids that occur twice, found in memory that does not grow with them: what does not fit lies on disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from types import TracebackType

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
