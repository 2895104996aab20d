"""Where commands write: documents and summaries to standard output, everything else to standard error."""

from __future__ import annotations

import json

import click

from batchmill.console import Summary, summary_data, summary_text
from batchmill.domain.batch import BatchStatus

COMPLETED, NOT_COMPLETED = 0, 1
"""Exit codes of a command that saw a batch to its end."""


def document(data: object) -> None:
    """One line of JSON on standard output."""
    click.echo(json.dumps(data, ensure_ascii=False))


def note(text: str, quiet: bool = False) -> None:
    """A line for a person, on standard error."""
    if not quiet:
        click.echo(text, err=True)


def ending(summary: Summary, as_json: bool) -> int:
    """Write the summary; returns the exit code it stands for."""
    if as_json:
        document(summary_data(summary))
    else:
        click.echo(summary_text(summary))
    return COMPLETED if summary.batch.status is BatchStatus.COMPLETED else NOT_COMPLETED
