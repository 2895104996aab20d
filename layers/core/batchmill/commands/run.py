"""`batchmill run`: one batch, from files to files, on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from batchmill.client import StackClient
from batchmill.commands import fetching, following, options, writing
from batchmill.commands.connecting import connect
from batchmill.commands.embedded import Embedded, EmbeddedOptions, Running, check_endpoint
from batchmill.commands.engine_watch import EngineWatch
from batchmill.commands.prepared import Prepared, prepare
from batchmill.commands.signals import Interrupts
from batchmill.console import Summary
from batchmill.domain.errors import BatchmillError, BatchNotFound

CANCEL_LIMIT_S = 20.0
"""How long a cancelled batch may take to end in order, after Ctrl-C."""


@dataclass(frozen=True)
class _Job:
    """What one `run` is asked to do. `kept`: there is a data folder, so what is interrupted can go on."""

    prepared: Prepared
    folder: Path
    quiet: bool
    as_json: bool
    engine_key: str
    kept: bool


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@options.output
@options.spec_options
@click.option("--engine", "engine_url", metavar="URL", help="An OpenAI-compatible engine; the embedded MiniLM if none.")
@click.option("--engine-key-env", metavar="NAME", help="The environment variable that holds the engine's API key.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--window", type=click.IntRange(1, 4096), help="Requests that a worker keeps in flight.")
@click.option("--logs", type=click.Path(path_type=Path), metavar="DIR", help="Keep the logs of every process there.")
@options.data
@options.overwrite
@options.as_json
@options.quiet
def run(
    inputs: tuple[str, ...],
    output: Path,
    engine_url: str | None,
    engine_key_env: str | None,
    workers: int,
    window: int | None,
    logs: Path | None,
    data: Path | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Run one batch over INPUT files on this machine: results to DIR/results/*.parquet.

    INPUT: JSONL (rows, or OpenAI batch lines) or CSV files, directories, globs. Templates are Jinja2 over a row's
    columns: --input '{{ subject }} {{ body }}'.

    Exit status: 0 completed, 1 failed, expired or cancelled, 2 a mistake in what was asked, 3 trouble of the stack,
    130 after Ctrl-C. Rows that failed are rows of the results; they do not change the exit status.

    With --data, Ctrl-C (or a kill) does not cancel: the same command again goes on with the same batch, and answers
    from the folder once it is final.
    """
    key = options.engine_key(engine_key_env)
    job = _Job(prepare(inputs, given), output, quiet, as_json, key, data is not None)
    check_endpoint(job.prepared.spec.endpoint, engine_url)
    fetching.clear(output, overwrite)
    options_ = EmbeddedOptions(engine_url, key, job.prepared.spec.model, workers, window, logs=logs, data=data)
    embedded = Embedded(options_, lambda line: writing.note(line, quiet or line.startswith("schedule")))
    with Interrupts(lambda: writing.note("ending in order; Ctrl-C again ends at once")) as interrupts:
        try:
            running = embedded.start()
            summary = None if interrupts.asked else _one_batch(job, embedded, running, interrupts)
        finally:
            embedded.stop()
    if summary is None:
        raise SystemExit(interrupts.exit_code)
    raise SystemExit(writing.ending(summary, as_json))


def _one_batch(job: _Job, embedded: Embedded, running: Running, interrupts: Interrupts) -> Summary | None:
    """Submit, follow, fetch; None where an end was asked for, and the batch is cancelled or waits in the folder."""
    client = connect(running.deployment.name, embedded.stack.client)
    started = time.time()
    batch_id = client.submit(job.prepared.inputs, job.prepared.spec)
    watch = EngineWatch(running.engine_url, job.engine_key, writing.note, lambda: client.cancel(batch_id))
    with following.display(job.quiet) as shown:
        batch = following.follow(client, batch_id, shown, interrupts, started, watch.look)
    if batch is None and job.kept:
        writing.note(f"{batch_id} is kept: the same command goes on with it")
        return None
    if batch is None:
        _cancel(client, batch_id)
        return None
    return fetching.fetch(client, batch, job.folder, time.time() - started)


def _cancel(client: StackClient, batch_id: str) -> None:
    """Cancel, and wait a while for the batch to become final. The stack ends whatever comes of it."""
    try:
        client.cancel(batch_id)
        deadline = time.monotonic() + CANCEL_LIMIT_S
        while time.monotonic() < deadline and not client.snapshot(batch_id, time.time()).final:
            time.sleep(following.POLL_S)
    except BatchNotFound:
        writing.note("ended before the batch began")
        return
    except BatchmillError as error:
        writing.note(f"batchmill: while cancelling {batch_id}: {error}")
        return
    writing.note(f"cancelled {batch_id}; no results were copied")
