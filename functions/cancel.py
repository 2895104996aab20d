"""Lambda: cancels a batch; its shards end at once."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """CancelInput to the batch's status; called by a person or the command line."""
    log.append_keys(batch_id=event["batch_id"])
    return bootstrap.cancel()(event)
