"""`batchmill status`: where a batch stands."""

from __future__ import annotations

import time

import click

from batchmill.commands import options, writing
from batchmill.commands.connecting import connect
from batchmill.console import Rates, Summary, plain_line, snapshot_data, summary_text


@click.command()
@click.argument("batch")
@options.stack_name
@options.as_json
def status(batch: str, stack_name: str, as_json: bool) -> None:
    """Say where BATCH stands."""
    client = connect(stack_name)
    client.get(batch)
    snapshot = client.snapshot(batch, time.time())
    if as_json:
        writing.document(snapshot_data(snapshot))
    elif snapshot.final and snapshot.batch:
        click.echo(summary_text(Summary(snapshot.batch)))
    else:
        started = snapshot.batch.created_at if snapshot.batch else snapshot.at
        click.echo(plain_line(snapshot, Rates(elapsed_s=snapshot.at - started)))
