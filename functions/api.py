"""Lambda: the API's front, behind API Gateway; which paths there are, and nothing else."""

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()
app = APIGatewayRestResolver()


@app.route("/batches", ["GET", "POST"])
@app.route("/batches/<batch_id>", ["GET"])
@app.route("/batches/<batch_id>/cancel", ["POST"])
def call(batch_id: str = "") -> Response[str]:
    """What the step answers."""
    answer = bootstrap.api()(app.current_event.raw_event, batch_id)
    return Response(answer.status, "application/json", answer.body, dict(answer.headers))


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def refuse(error: Exception) -> Response[str]:
    """What never came to the step, such as a path that is not there."""
    answer = bootstrap.api().failed(app.current_event.raw_event, error)
    return Response(answer.status, "application/json", answer.body, dict(answer.headers))


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """API Gateway's proxy event to its answer."""
    log.set_correlation_id(event["requestContext"]["requestId"])
    return app.resolve(event, context)
