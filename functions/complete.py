"""Lambda: proves the parts whole, writes the manifest, sets the final status."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """RunInput to the batch's final status."""
    log.append_keys(batch_id=event["batch_id"])
    return bootstrap.complete()(event)
