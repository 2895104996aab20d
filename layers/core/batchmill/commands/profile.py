"""`batchmill profile`: profiles, checked before they are used."""

from __future__ import annotations

from pathlib import Path

import click

from batchmill.commands import options, submission, writing
from batchmill.commands.preflight import check_bodies
from batchmill.contracts.spec import parse_spec


@click.group()
def profile() -> None:
    """Work with profiles."""


@profile.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.as_json
def check(file: Path, as_json: bool) -> None:
    """Say whether FILE is a valid profile. Exit status: 0 it is, 2 it is not, and why on standard error."""
    spec = parse_spec(submission.load_mapping(file, "profile"), str(file))
    check_bodies(spec)
    if as_json:
        writing.document(spec.model_dump(mode="json"))
    else:
        click.echo(f"{file}: valid, for {spec.endpoint}")
