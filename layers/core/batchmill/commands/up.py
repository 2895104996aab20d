"""`batchmill up`: the embedded stack, kept running."""

from __future__ import annotations

from pathlib import Path

import click

from batchmill.commands import options, writing
from batchmill.commands.embedded import SPEED, Embedded, EmbeddedOptions, Running
from batchmill.commands.signals import Interrupts
from batchmill.local.account import REGION
from batchmill.local.router import ACCESS_KEY, SECRET_KEY

_POLL_S = 3600.0


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the AWS endpoint; a free one if 0.")
@click.option("--api-port", type=click.IntRange(0, 65535), default=0, help="Of the API; a free one if 0.")
@click.option("--engine", "engine_url", metavar="URL", help="An OpenAI-compatible engine; the embedded MiniLM if none.")
@click.option("--engine-key-env", metavar="NAME", help="The environment variable that holds the engine's API key.")
@click.option("--model", help="The model's name, where the engine serves several.")
@click.option(
    "--workers", type=click.IntRange(0, 64), default=1, show_default=True, help="With 0 the first shard starts one."
)
@click.option("--window", type=click.IntRange(1, 4096), help="Requests that a worker keeps in flight.")
@click.option(
    "--speed", type=click.FloatRange(1, 600), default=SPEED, show_default=True, help="Schedules' minutes per minute."
)
@click.option("--logs", type=click.Path(path_type=Path), metavar="DIR", help="Keep the logs of every process there.")
@options.data
@click.option("--json", "as_json", is_flag=True, help="One JSON line on standard output when ready, and no other.")
def up(
    port: int,
    api_port: int,
    engine_url: str | None,
    engine_key_env: str | None,
    model: str | None,
    workers: int,
    window: int | None,
    speed: float,
    logs: Path | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Start the embedded stack and keep it until Ctrl-C or SIGTERM. Without --data nothing is kept when it ends."""
    key = options.engine_key(engine_key_env)
    options_ = EmbeddedOptions(engine_url, key, model, workers, window, speed, port, logs, data, api_port)
    embedded = Embedded(options_, writing.note)
    with Interrupts(lambda: writing.note("ending in order; Ctrl-C again ends at once")) as interrupts:
        try:
            running = embedded.start()
            if not interrupts.asked:
                _tell(running, speed, data, as_json)
            while not interrupts.wait(_POLL_S):
                pass
        finally:
            embedded.stop()


def _tell(running: Running, speed: float, data: Path | None, as_json: bool) -> None:
    if as_json:
        writing.document(addresses(running))
        return
    for line in ready_lines(running, speed, data):
        click.echo(line)


def addresses(running: Running) -> dict[str, str]:
    """What a program needs to use the stack."""
    outputs = running.deployment.outputs
    return {
        "aws_endpoint_url": running.endpoint_url,
        "api_url": outputs["ApiUrl"],
        "openai_base_url": outputs["OpenAiBaseUrl"],
        "api_key": running.api_key,
        "input_bucket": outputs["InputBucket"],
        "data_bucket": outputs["DataBucket"],
        "intake_queue_url": outputs["IntakeQueueUrl"],
        "state_machine_arn": outputs["StateMachineArn"],
        "table": outputs["TableName"],
        "stack_name": running.deployment.name,
        "engine_url": running.engine_url,
        "model": running.model,
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
        "region": REGION,
    }


def ready_lines(running: Running, speed: float, data: Path | None = None) -> list[str]:
    """What a person needs to use the stack."""
    told = addresses(running)
    return [
        "ready. In another terminal:",
        "",
        f"  export AWS_ENDPOINT_URL={told['aws_endpoint_url']}",
        f"  export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY} AWS_DEFAULT_REGION={REGION}",
        f"  export OPENAI_BASE_URL={told['openai_base_url']} OPENAI_API_KEY={told['api_key']}",
        "",
        f"  API           {told['api_url']}/v1/batches",
        f"  input bucket  {told['input_bucket']}",
        f"  data bucket   {told['data_bucket']}",
        f"  engine        {told['engine_url']} ({told['model']})",
        f"  logs          {running.logs or 'none'} (gone at the end, unless --logs names a folder)",
        f"  clock         schedules run {speed:g} times as often as on AWS",
        "",
        "not simulated here:",
        *(f"  {note}" for note in running.deployment.notes),
        "",
        "Ctrl-C ends it; nothing is kept."
        if data is None
        else f"Ctrl-C ends it; what it holds is kept in {data}, and goes on from there with --data {data}.",
    ]
