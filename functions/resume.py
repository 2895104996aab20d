"""Lambda: answers the tokens of shards whose part is there, or whose message is a dead letter."""

import logging
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from batchmill import bootstrap
from batchmill.observability import logger, observed

log = logger()
processor = BatchProcessor(
    event_type=EventType.SQS, raise_on_entire_batch_failure=False, logger=logging.getLogger("batchmill")
)


def take(record: SQSRecord) -> None:
    """One message. What it raises brings this message back, and no other."""
    bootstrap.resume()(record.body)


@observed(log)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """An SQS event to the messages that failed."""
    return process_partial_response(event=event, record_handler=take, processor=processor, context=context)
