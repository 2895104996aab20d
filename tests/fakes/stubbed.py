"""boto3 clients whose answers a test scripts one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.stub import Stubber


def stubbed(service: str) -> tuple[Any, Stubber]:
    """A client without credentials or network, and the stubber that answers for it. It makes no second tries."""
    session: Any = boto3.session.Session()
    client = session.client(
        service,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )
    stubber = Stubber(client)
    stubber.activate()
    return client, stubber


def refuse(stubber: Stubber, operation: str, code: str, status: int = 400, message: str = "") -> None:
    """The next call must be `operation`, and is answered with an error."""
    stubber.add_client_error(operation, code, message, status)


def answer(
    stubber: Stubber, operation: str, response: Mapping[str, Any], params: Mapping[str, Any] | None = None
) -> None:
    """The next call must be `operation` (with exactly `params` where given), and is answered with `response`."""
    stubber.add_response(operation, dict(response), dict(params) if params is not None else None)
