"""`batchmill list`: the newest batches."""

from __future__ import annotations

import click
from rich.console import Console

from batchmill.commands import options, writing
from batchmill.commands.connecting import connect
from batchmill.console import batch_data, batch_table

WIDTH = 120
"""Columns of characters that the table needs; a narrower terminal wraps its lines."""


@click.command(name="list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@options.stack_name
@options.as_json
def listing(limit: int, stack_name: str, as_json: bool) -> None:
    """List the newest batches."""
    batches = connect(stack_name).recent(limit)
    if as_json:
        writing.document([batch_data(batch) for batch in batches])
    else:
        screen = Console()
        screen.width = max(screen.width, WIDTH)
        screen.print(batch_table(batches))
