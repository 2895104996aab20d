"""`batchmill watch`: a batch's progress until its end."""

from __future__ import annotations

import click

from batchmill.commands import following, options, writing
from batchmill.commands.connecting import connect
from batchmill.commands.signals import Interrupts
from batchmill.commands.summing import summed_up


@click.command()
@click.argument("batch")
@options.stack_name
@options.as_json
@options.quiet
def watch(batch: str, stack_name: str, as_json: bool, quiet: bool) -> None:
    """Show BATCH's progress until it has ended. Exit status: 0 completed, 1 failed, expired or cancelled.

    Ctrl-C ends the watching, not the batch.
    """
    client = connect(stack_name)
    started = client.get(batch).created_at
    with Interrupts() as interrupts, following.display(quiet) as shown:
        ended = following.follow(client, batch, shown, interrupts, started)
    if ended is None:
        raise SystemExit(interrupts.exit_code)
    seconds = ended.times.get(ended.status.value, started) - started
    raise SystemExit(writing.ending(summed_up(client, ended, max(seconds, 0.0)), as_json))
