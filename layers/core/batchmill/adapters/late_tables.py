"""The tables port, for a function that may never see a table: pyarrow is imported when the first is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from batchmill.domain.request import RowError
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.ports.tables import TableFooter, Tables


class LateTables:
    """Implements `ports.tables.Tables`, by ParquetTables."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    @cached_property
    def _tables(self) -> Tables:
        from batchmill.adapters.parquet import ParquetTables

        return ParquetTables(self._objects)

    def footer(self, info: ObjectInfo) -> TableFooter:
        """As the port says."""
        return self._tables.footer(info)

    def rows(self, info: ObjectInfo, start: int, end: int) -> Iterator[Mapping[str, object] | RowError]:
        """As the port says."""
        return self._tables.rows(info, start, end)
