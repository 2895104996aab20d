"""Lambda: pins a batch's input and lists its shards."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """RunInput to PlanOutput, as the state machine passes them."""
    log.append_keys(batch_id=event["batch_id"])
    return bootstrap.plan()(event)
