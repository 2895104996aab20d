"""`batchmill check`: what a batch would make of its inputs, found out here, without running it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from batchmill.adapters.account import clients
from batchmill.adapters.s3 import S3Objects
from batchmill.commands import options, submission, writing
from batchmill.commands.checking import Checking, Report
from batchmill.commands.local_objects import FILES
from batchmill.console import number, size
from batchmill.domain.batch import Input
from batchmill.domain.errors import SpecInvalid
from batchmill.domain.places import bucket_and_key
from batchmill.ports.objects import Objects

TOLD_SECONDS = 5.0
"""Between two lines of progress."""

ROWS_BETWEEN = 1000
"""Looks at the clock."""


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@options.spec_options
@click.option(
    "--problems", type=click.IntRange(0, 100_000), default=20, show_default=True, help="Problems that are told."
)
@options.as_json
@options.quiet
def check(inputs: tuple[str, ...], problems: int, as_json: bool, quiet: bool, **given: Any) -> None:
    """Read all rows of INPUT (files, directories, globs, s3:// URIs) as a batch would, without running it.

    Tells the rows that would be errors, custom_ids that occur twice, tokens and shards. s3:// URIs are read with the
    credentials that boto3 finds. Tokens are estimates: a row's context length is looked at when it is sent.

    Exit status: 0 nothing is wrong, 1 problems were found, 2 a mistake in what was asked.
    """
    checking = Checking(options.spec_of(given), _s3, problems, _Progress(quiet))
    report = checking.run(_inputs(submission.expand(inputs)))
    for warning in report.warnings:
        writing.note(f"warning: {warning}")
    if as_json:
        writing.document(_data(report))
    else:
        click.echo("\n".join(_lines(report)))
    raise SystemExit(int(report.problems > 0))


def _s3() -> Objects:
    return S3Objects(clients()("s3"))


def _inputs(names: Sequence[str]) -> list[Input]:
    try:
        return [
            Input(*bucket_and_key(name)) if name.startswith(submission.S3_SCHEME) else Input(FILES, name)
            for name in names
        ]
    except ValueError as error:
        raise SpecInvalid(str(error)) from None


class _Progress:
    """Says on standard error how far it is, every few seconds."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._rows, self._told = quiet, 0, time.monotonic()

    def __call__(self, report: Report) -> None:
        if self._quiet or report.rows % ROWS_BETWEEN or time.monotonic() - self._told < TOLD_SECONDS:
            return
        self._told = time.monotonic()
        writing.note(f"{number(report.rows)} rows read, {number(report.problems)} problems")


def _lines(report: Report) -> list[str]:
    plural = "object" if report.objects == 1 else "objects"
    kinds = ", ".join(kind for kind in report.compression if kind != "none")
    lines = [
        f"{'problems' if report.problems else 'fine'}: {number(report.rows)} rows",
        f"  inputs    {number(report.objects)} {plural}, {size(report.bytes)}",
        f"  format    {report.format or 'unknown'}{', ' + kinds if kinds else ''}",
        f"  tokens    about {number(report.prompt_tokens)} in, {number(report.output_tokens)} out",
        f"  shards    about {number(report.shards)}",
    ]
    lines += [f"  problem   {number(count)} x {code}" for code, count in report.codes.most_common()]
    for one in report.first:
        place = ", ".join([one.object or "", f"line {one.line}" if one.line else ""]).strip(", ")
        lines.append(f"            {place + ': ' if place else ''}{one.message} [{one.code}]")
    more = report.problems - len(report.first)
    return [*lines, f"            and {number(more)} more"] if more else lines


def _data(report: Report) -> dict[str, object]:
    return {
        "ok": not report.problems,
        "objects": report.objects,
        "bytes": report.bytes,
        "format": report.format,
        "compression": list(report.compression),
        "rows": report.rows,
        "shards": report.shards,
        "prompt_tokens": round(report.prompt_tokens),
        "output_tokens": round(report.output_tokens),
        "problems": report.problems,
        "codes": dict(report.codes),
        "first_problems": [asdict(one) for one in report.first],
        "warnings": report.warnings,
    }
