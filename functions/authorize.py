"""Lambda: lets into the API who has its key."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """API Gateway's TOKEN authorizer event to an IAM policy."""
    return bootstrap.authorize()(event)
