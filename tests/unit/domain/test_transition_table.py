"""docs/architecture.md carries the tables of transitions; here they are held against the code."""

import re
from pathlib import Path

from batchmill.domain import batch, shard

DOCUMENT = Path(__file__).parents[3] / "docs" / "architecture.md"


def rows(header: str) -> list[list[str]]:
    """The cells of the table that begins with this header line."""
    lines = iter(DOCUMENT.read_text(encoding="utf-8").splitlines())
    assert header in lines, f"no table {header}"
    next(lines)  # the line of dashes
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def test_the_documents_table_of_shard_transitions_is_the_codes() -> None:
    written = [tuple(cells[:3]) for cells in rows("| from | to | by | when |")]
    assert len(written) == len(set(written))
    assert set(written) == {(before.value, after.value, by) for before, after, by in shard.TRANSITIONS}


def test_the_documents_table_of_batch_statuses_is_the_codes() -> None:
    written = {
        cells[0].strip("`"): set(re.findall(r"\w+", cells[1])) for cells in rows("| status | may become | meaning |")
    }
    assert written == {
        status.value: {after.value for after in following} for status, following in batch.TRANSITIONS.items()
    }
