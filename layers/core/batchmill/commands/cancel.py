"""`batchmill cancel`: a batch's end, before its own."""

from __future__ import annotations

import click

from batchmill.commands import options, writing
from batchmill.commands.connecting import connect
from batchmill.console import batch_data


@click.command()
@click.argument("batch")
@options.stack_name
@options.as_json
def cancel(batch: str, stack_name: str, as_json: bool) -> None:
    """Cancel BATCH. What it has finished stays in its results; every other row gets an error outcome."""
    client = connect(stack_name)
    client.cancel(batch)
    now = client.get(batch)
    if as_json:
        writing.document(batch_data(now))
    else:
        click.echo(f"{batch}: {now.status.value}")
