"""From a stack's name to a client of it."""

from __future__ import annotations

from batchmill.adapters.account import ClientFactory, LambdaFunctions, S3Files, clients, stack_outputs
from batchmill.adapters.dynamodb import DynamoBatches
from batchmill.adapters.s3 import S3Objects
from batchmill.adapters.sqs import SqsQueue
from batchmill.client import StackClient
from batchmill.contracts.outputs import StackOutputs


def connect(stack_name: str, factory: ClientFactory | None = None) -> StackClient:
    """A client of the stack that boto3's settings (AWS_ENDPOINT_URL, region, credentials) reach, or `factory` makes.

    Raises AccountUnusable where there is none.
    """
    client = factory or clients()
    outputs = StackOutputs.read(stack_outputs(client("cloudformation"), stack_name), stack_name)
    s3 = client("s3")
    return StackClient(
        outputs,
        DynamoBatches(client("dynamodb"), outputs.table),
        S3Objects(s3),
        SqsQueue(client("sqs")),
        S3Files(s3),
        LambdaFunctions(client("lambda")),
    )
