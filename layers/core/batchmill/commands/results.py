"""`batchmill results`: a batch's results, copied out."""

from __future__ import annotations

from pathlib import Path

import click

from batchmill.commands import fetching, options, writing
from batchmill.commands.connecting import connect
from batchmill.domain.errors import UserError


@click.command()
@click.argument("batch")
@options.output
@options.overwrite
@options.stack_name
@options.as_json
def results(batch: str, output: Path, overwrite: bool, stack_name: str, as_json: bool) -> None:
    """Copy the results of BATCH, which must have ended, to DIR. Exit status as `watch`."""
    client = connect(stack_name)
    found = client.get(batch)
    if not found.final:
        raise UserError(f"{batch} is {found.status.value}: wait for its end with `batchmill watch {batch}`")
    fetching.clear(output, overwrite)
    raise SystemExit(writing.ending(fetching.fetch(client, found, output, None), as_json))
