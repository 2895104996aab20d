"""Lambda: stores a shard's token and sends the shard to a pool."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """DispatchInput to nothing: the task token is answered by whoever finds the shard's part."""
    log.append_keys(batch_id=event["batch_id"])
    return bootstrap.dispatch()(event)
