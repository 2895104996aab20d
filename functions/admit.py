"""Lambda: says how many shards may run at once, and until when."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """AdmitInput to AdmitOutput, as the state machine passes them."""
    log.append_keys(batch_id=event["batch_id"])
    return bootstrap.admit()(event)
