"""What the command line needs of an account beside the steps' own ports: outputs, functions, files to and from S3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoRegionError

from batchmill.adapters.aws_clients import config
from batchmill.adapters.aws_errors import classify, error_code, translated
from batchmill.domain.errors import Transient, UserError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

ClientFactory = Callable[[str], Any]
"""From a service's name to a boto3 client of it."""


class AccountUnusable(UserError):
    """No credentials, no region, no permission, no such stack, or nobody answers."""

    code = "account_unusable"


def clients() -> ClientFactory:
    """Clients of the account (or of AWS_ENDPOINT_URL) that boto3's own settings name."""
    session: Any = boto3.session.Session()

    def make(service: str) -> Any:
        try:
            return session.client(service, config=config("s3v4" if service == "s3" else None))
        except NoRegionError:
            raise AccountUnusable("no AWS region is set: set AWS_DEFAULT_REGION, or a profile that has one") from None
        except BotoCoreError as error:
            raise AccountUnusable(f"{service}: {error}") from None

    return make


def stack_outputs(client: CloudFormationClient, stack_name: str) -> Mapping[str, str]:
    """A stack's outputs. Raises AccountUnusable where there is no such stack, no access, or nobody answers."""
    try:
        stack = client.describe_stacks(StackName=stack_name)["Stacks"][0]
    except EndpointConnectionError as error:
        raise AccountUnusable(f"{error} (is `batchmill up` still running?)") from None
    except ClientError as error:
        if error_code(error) == "ValidationError":
            raise AccountUnusable(f"there is no stack {stack_name} here: say --stack-name, check the region") from None
        raise AccountUnusable(str(classify(error, f"stack {stack_name}"))) from None
    except BotoCoreError as error:
        raise AccountUnusable(str(classify(error, f"stack {stack_name}"))) from None
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


class LambdaFunctions:
    """Functions that are asked and answer."""

    def __init__(self, client: LambdaClient) -> None:
        self._lambda = client

    def invoke(self, name: str, payload: bytes) -> bytes:
        """The answer. Raises Transient where the function failed, Gone where there is none."""
        with translated(f"function {name}"):
            answer = self._lambda.invoke(FunctionName=name, Payload=payload)
            body = answer["Payload"].read()
        if answer.get("FunctionError"):
            raise Transient(f"function {name} failed: {body.decode(errors='replace')}")
        return body


class S3Files:
    """Whole files to and from S3, in parts where they are large."""

    def __init__(self, client: S3Client) -> None:
        self._s3 = client

    def upload(self, path: Path, bucket: str, key: str) -> None:
        """Put a local file there, replacing what is there."""
        try:
            with translated(f"s3://{bucket}/{key}"):
                self._s3.upload_file(str(path), bucket, key)
        except S3UploadFailedError as error:
            raise Transient(str(error)) from None

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Bring an object here. Raises Gone; then `path` is not there."""
        with translated(f"s3://{bucket}/{key}"):
            self._s3.download_file(bucket, key, str(path))
