"""Lambda: commits a part from a shard's checkpoints, with an error for each row that is missing."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """LandInput to nothing the state machine keeps."""
    log.append_keys(batch_id=event["batch_id"])
    return bootstrap.land()(event)
