"""The functions port over Lambda's asynchronous invocations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchmill.adapters.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaFunctions:
    """Implements `ports.functions.Functions`."""

    def __init__(self, client: LambdaClient) -> None:
        self._lambda = client

    def begin(self, name: str, payload: bytes) -> None:
        """Queue an invocation; Lambda tries a failed one twice more."""
        with translated(f"function {name}"):
            self._lambda.invoke(FunctionName=name, InvocationType="Event", Payload=payload)
