"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from batchmill.commands import submission
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import SpecInvalid, WebhookRefused
from batchmill.domain.formats import Compression, Format
from batchmill.domain.webhook import LOOPBACK, target

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
quiet = click.option("--quiet", "-q", is_flag=True, help="No progress.")
data = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep objects, batches and secrets there: they come back at the next start, and interrupted batches go on. "
    "Survives a killed process, not a power cut. One stack at a time.",
)
stack_name = click.option(
    "--stack-name", default="batchmill", show_default=True, help="The CloudFormation stack, deployed or embedded."
)
output = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder for results/*.parquet and manifest.json.",
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace results of an earlier batch in DIR.")
webhook_url = click.option(
    "--webhook-url", metavar="URL", help="Called once the batch is final, signed: https://, at a public name."
)

_SPEC = (
    click.option("--endpoint", help="Path on the engine; /v1/chat/completions where nothing says otherwise."),
    click.option("--model", help="The model's name in the requests; the pool's own where not given."),
    click.option("--input", "input_template", metavar="T", help="Template of the input (embeddings, classify, …)."),
    click.option("--prompt", metavar="T", help="Template of the prompt (chat, completions)."),
    click.option("--system", metavar="T", help="Template of the system message beside --prompt."),
    click.option("--image", metavar="T", help="Template of an image's URL or s3://bucket/key, shown beside --prompt."),
    click.option(
        "--body-file",
        type=click.Path(path_type=Path),
        metavar="F",
        help="JSON or YAML file with the template of a whole request body.",
    ),
    click.option("--params", multiple=True, metavar="P", help="name=value or a JSON object, for every request."),
    click.option(
        "--repair", type=click.IntRange(0, 3), help="Times that an output that does not fit its schema is asked again."
    ),
    click.option(
        "--context",
        type=click.Choice(["error", "truncate", "send"]),
        help="What becomes of a row that is longer than the model's context; error where not given.",
    ),
    click.option("--labels", metavar="A,B,…", help="Labels for /v1/classify: short for --params labels=[…]."),
    click.option("--columns", metavar="A,B|all|none", help="Input columns to carry into the results."),
    click.option("--custom-id", metavar="COL", help="The column that holds each row's custom_id."),
    click.option(
        "--format",
        "input_format",
        type=click.Choice(["auto", *get_args(Format)]),
        help="Of the inputs; told by name and content where not given.",
    ),
    click.option(
        "--compression",
        type=click.Choice(["auto", *get_args(Compression)]),
        help="Of the inputs; told by name and content where not given.",
    ),
    click.option("--delimiter", metavar="C", help="Of a CSV; told by its beginning where not given."),
    click.option("--names", metavar="A,B,…", help="The columns of a CSV without a header."),
    click.option(
        "--no-quoted-newlines",
        is_flag=True,
        help="No field of the CSV holds a line break: a file of any size is then cut unread.",
    ),
    click.option(
        "--manifest",
        is_flag=True,
        help="INPUT lists the inputs: S3 Inventory's manifest.json, or s3:// URIs as lines or JSON.",
    ),
    click.option(
        "--shard-rows", type=click.IntRange(min=1), help="Rows of a shard; ten minutes of work where not given."
    ),
    click.option(
        "--max-error-ratio",
        type=click.FloatRange(0, 1),
        metavar="R",
        help="End the batch as failed where more than this share of its rows are errors: 0.1 for one in ten.",
    ),
    click.option("--completion-window", metavar="24h", help="How long the batch may take: 30m, 24h, 7d."),
    click.option("--name", help="A name for people."),
    click.option(
        "--profile",
        "profile_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="YAML file with any of these; options given beside it win.",
    ),
)


def spec_options(command: F) -> F:
    """The options that say what a batch is to do; `spec_of` reads them."""
    for option in reversed(_SPEC):
        command = option(command)
    return command


def spec_of(given: dict[str, Any]) -> BatchSpec:
    """The spec of the values that `spec_options` collected. Raises SpecInvalid."""
    profile_file: Path | None = given["profile_file"]
    profile = submission.load_mapping(profile_file, "profile") if profile_file else {}
    body_file: Path | None = given["body_file"]
    options = {
        "endpoint": given["endpoint"],
        "model": given["model"],
        "input": given["input_template"],
        "prompt": given["prompt"],
        "system": given["system"],
        "image": given["image"],
        "body": submission.load_mapping(body_file, "body file") if body_file else None,
        "params": submission.parse_params(given["params"]),
        "repair": given["repair"],
        "context": given["context"],
        "labels": _labels(given["labels"]),
        "custom_id": given["custom_id"],
        "format": given["input_format"],
        "compression": given["compression"],
        "csv": _csv(given),
        "manifest": given["manifest"] or None,
        "shard_rows": given["shard_rows"],
        "max_error_ratio": given["max_error_ratio"],
        "completion_window": given["completion_window"],
        "name": given["name"],
        "webhook_url": _webhook(given.get("webhook_url")),
    }
    columns: str | None = given["columns"]
    if columns is not None:
        options["columns"] = submission.parse_columns(columns)
        profile.pop("columns", None)
    return submission.build_spec(options, profile, str(profile_file) if profile_file else "options")


def _webhook(url: str | None) -> str | None:
    """As far as the text goes; only the embedded stack takes one on this machine, which intake knows."""
    try:
        if url is not None:
            target(url, LOOPBACK)
    except WebhookRefused as error:
        raise SpecInvalid(f"--webhook-url: {error}") from None
    return url


def _csv(given: dict[str, Any]) -> dict[str, object] | None:
    names: str | None = given["names"]
    options = {
        "delimiter": "\t" if given["delimiter"] == "\\t" else given["delimiter"],
        "names": [name.strip() for name in names.split(",")] if names is not None else None,
        "quoted_newlines": False if given["no_quoted_newlines"] else None,
    }
    return {name: value for name, value in options.items() if value is not None} or None


def _labels(text: str | None) -> list[str]:
    return [label.strip() for label in (text or "").split(",") if label.strip()]


def engine_key(variable: str | None) -> str:
    """The key in the environment variable that --engine-key-env names. Raises SpecInvalid where it is not set."""
    if variable is None:
        return ""
    key = os.environ.get(variable, "")
    if not key:
        raise SpecInvalid(f"--engine-key-env {variable}: the environment variable is not set")
    return key
