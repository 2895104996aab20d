"""`batchmill pause` and `batchmill resume`: a batch left alone for a while."""

from __future__ import annotations

import click

from batchmill.commands import options, writing
from batchmill.commands.connecting import connect
from batchmill.console import batch_data, standing


@click.command()
@click.argument("batch")
@options.stack_name
@options.as_json
def pause(batch: str, stack_name: str, as_json: bool) -> None:
    """Pause BATCH. What it has finished is kept; its completion window goes on."""
    _change(batch, stack_name, as_json, paused=True)


@click.command()
@click.argument("batch")
@options.stack_name
@options.as_json
def resume(batch: str, stack_name: str, as_json: bool) -> None:
    """Have BATCH go on where it was paused."""
    _change(batch, stack_name, as_json, paused=False)


def _change(batch: str, stack_name: str, as_json: bool, paused: bool) -> None:
    client = connect(stack_name)
    client.pause(batch, paused)
    now = client.get(batch)
    if as_json:
        writing.document(batch_data(now))
    else:
        click.echo(f"{batch}: {standing(now)}")
