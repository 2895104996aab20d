from __future__ import annotations

import io
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from batchmill.adapters.late_tables import LateTables
from batchmill.adapters.parquet import ParquetTables
from fakes.objects import MemoryObjects

MADE_WITHOUT = """
import sys
sys.modules["pyarrow"] = None
from batchmill.adapters import late_tables, zstd
late_tables.LateTables(None)
"""


def test_tables_are_read_as_by_the_adapter_itself() -> None:
    sink, objects = io.BytesIO(), MemoryObjects()
    pq.write_table(pa.table({"a": [1, 2, 3]}), sink)
    objects.put("input", "t.parquet", sink.getvalue())
    info = objects.head("input", "t.parquet")
    late = LateTables(objects)
    assert late.footer(info) == ParquetTables(objects).footer(info)
    assert list(late.rows(info, 1, 3)) == [{"a": 2}, {"a": 3}]


def test_it_is_made_without_pyarrow() -> None:
    subprocess.run([sys.executable, "-c", MADE_WITHOUT], check=True)
