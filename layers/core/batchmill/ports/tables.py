"""Tables: Parquet as the steps see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from batchmill.domain.request import RowError
from batchmill.ports.objects import ObjectInfo


@dataclass(frozen=True)
class RowGroup:
    """A piece that the file was written in: its rows, and the bytes they take when they are decompressed."""

    rows: int
    bytes: int


@dataclass(frozen=True)
class TableFooter:
    """What a table says of itself."""

    groups: tuple[RowGroup, ...]
    columns: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Of all groups."""
        return sum(group.rows for group in self.groups)

    @property
    def bytes(self) -> int:
        """Of all groups, decompressed."""
        return sum(group.bytes for group in self.groups)


class Tables(Protocol):
    """Reads tables by ranges. Every method may raise Transient, InputChanged and InputMissing."""

    def footer(self, info: ObjectInfo) -> TableFooter:
        """The footer, without reading a row. Raises InputInvalid for what is no table that can be read."""
        ...

    def rows(self, info: ObjectInfo, start: int, end: int) -> Iterator[Mapping[str, object] | RowError]:
        """Rows [start, end), counted from 0: of each its columns, as values that JSON has, or why it has none.

        Exactly end - start of them, whatever the file holds, as long as `end` is no more than the footer's rows.
        """
        ...
