"""boto3 clients as batchmill wants them: one place for timeouts, retries and signatures.

Region, credentials and endpoint come from where boto3 always takes them, at the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient


def config(signature_version: str | None = None) -> Config:
    """Five tries in all with the standard back-off; 5 s to connect, 60 s to read (a queue is polled for up to 20 s)."""
    return Config(
        retries={"mode": "standard", "total_max_attempts": 5},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=32,
        tcp_keepalive=True,
        signature_version=signature_version,
        user_agent_extra="batchmill",
    )


def s3_client() -> S3Client:
    """S3, signing (and presigning) by SigV4, which conditional writes demand."""
    return boto3.client("s3", config=config("s3v4"))


def s3_link_client() -> S3Client:
    """S3, for presigned links that others follow: they name the bucket's regional host.

    botocore's links name the global one otherwise, which new buckets and newer regions do not answer by.
    """
    client = s3_client()
    if not (client.meta.endpoint_url or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return client  # the embedded stack's, which has no host for each bucket
    regional = config("s3v4").merge(Config(s3={"addressing_style": "virtual"}))
    return boto3.client("s3", config=regional)


def dynamodb_client() -> DynamoDBClient:
    """DynamoDB."""
    return boto3.client("dynamodb", config=config())


def sqs_client() -> SQSClient:
    """SQS."""
    return boto3.client("sqs", config=config())


def ecs_client() -> ECSClient:
    """ECS, for what may fail but must not hold its caller up: two tries of 5 s."""
    hasty = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=5)
    return boto3.client("ecs", config=config().merge(hasty))


def stepfunctions_client() -> SFNClient:
    """Step Functions."""
    return boto3.client("stepfunctions", config=config())


def lambda_client() -> LambdaClient:
    """Lambda."""
    return boto3.client("lambda", config=config())


def events_client() -> EventBridgeClient:
    """EventBridge."""
    return boto3.client("events", config=config())


def sns_client() -> SNSClient:
    """SNS."""
    return boto3.client("sns", config=config())


def secretsmanager_client() -> SecretsManagerClient:
    """Secrets Manager."""
    return boto3.client("secretsmanager", config=config())
