"""Lambda: pauses a batch, or has it go on; its parked shards are then sent again."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """PauseInput to the batch's status; called by the API, a person or the command line."""
    log.append_keys(batch_id=event["batch_id"])
    return bootstrap.pause()(event)
