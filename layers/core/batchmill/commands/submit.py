"""`batchmill submit`: a batch on a stack that runs already."""

from __future__ import annotations

import time
from typing import Any

import click

from batchmill.commands import following, options, writing
from batchmill.commands.connecting import connect
from batchmill.commands.prepared import prepare
from batchmill.commands.signals import Interrupts
from batchmill.commands.summing import summed_up


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@options.spec_options
@options.webhook_url
@options.stack_name
@click.option("--wait", is_flag=True, help="Until the batch has ended; the exit status is then that of `watch`.")
@options.as_json
@options.quiet
def submit(inputs: tuple[str, ...], stack_name: str, wait: bool, as_json: bool, quiet: bool, **given: Any) -> None:
    """Submit a batch over INPUT (files, directories, globs, s3:// URIs) and print its id.

    Files are brought to the data bucket under the hash of their content. The same submission again is the same batch.
    """
    prepared = prepare(inputs, given)
    client = connect(stack_name)
    started = time.time()
    batch_id = client.submit(prepared.inputs, prepared.spec)
    if not wait:
        writing.document({"batch_id": batch_id}) if as_json else click.echo(batch_id)
        return
    writing.note(batch_id, quiet)
    with Interrupts() as interrupts, following.display(quiet) as shown:
        batch = following.follow(client, batch_id, shown, interrupts, started)
    if batch is None:
        writing.note(f"{batch_id} goes on without this command")
        raise SystemExit(interrupts.exit_code)
    raise SystemExit(writing.ending(summed_up(client, batch, time.time() - started), as_json))
