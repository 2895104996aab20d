"""Lambda: the API's front, behind API Gateway."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """API Gateway's proxy event to its answer."""
    log.set_correlation_id(event["requestContext"]["requestId"])
    return bootstrap.api()(event)
