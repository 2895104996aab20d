"""`batchmill status`: where a batch stands."""

from __future__ import annotations

import time

import click

from batchmill.commands import options, writing
from batchmill.commands.connecting import connect
from batchmill.commands.summing import summed_up
from batchmill.console import Rates, plain_line, snapshot_data, summary_text


@click.command()
@click.argument("batch")
@options.stack_name
@options.as_json
def status(batch: str, stack_name: str, as_json: bool) -> None:
    """Say where BATCH stands."""
    client = connect(stack_name)
    client.get(batch)
    snapshot = client.snapshot(batch, time.time())
    summary = summed_up(client, snapshot.batch, None) if snapshot.final and snapshot.batch else None
    if as_json:
        codes = {"errors_by_code": dict(summary.errors)} if summary else {}
        writing.document(snapshot_data(snapshot) | codes)
    elif summary:
        click.echo(summary_text(summary))
    else:
        started = snapshot.batch.created_at if snapshot.batch else snapshot.at
        click.echo(plain_line(snapshot, Rates(elapsed_s=snapshot.at - started)))
