"""Lambda: finds what events missed, every minute."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, measure, observed

log = logger()


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """A schedule's event to what was done, counted."""
    swept = bootstrap.sweep()()
    measure("Sweep", swept)
    return swept
