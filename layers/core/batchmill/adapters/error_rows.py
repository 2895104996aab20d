"""The rows that failed, read from downloaded parts without their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq


@dataclass(frozen=True)
class ErrorRow:
    """One failed row. The message names the line where it is known."""

    custom_id: str
    code: str
    message: str


def read_errors(files: Sequence[Path], samples: int) -> tuple[dict[str, int], list[ErrorRow]]:
    """How many rows failed by code, the most frequent first, and the first few of them.

    Memory grows with one part's error columns. Raises OSError or pyarrow's ArrowInvalid for a file that is no part.
    """
    counts: Counter[str] = Counter()
    first: list[ErrorRow] = []
    for path in files:
        table = pq.read_table(path, columns=["custom_id", "status", "error_code", "error_message"], partitioning=None)
        failed = table.filter(pc.equal(table["status"], "error"))
        counts.update(code or "unknown" for code in failed["error_code"].to_pylist())
        for row in failed.slice(0, samples - len(first)).to_pylist():
            first.append(ErrorRow(row["custom_id"], row["error_code"] or "unknown", row["error_message"] or ""))
    return dict(counts.most_common()), first
