"""How the clients are set up."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from batchmill.adapters.aws_clients import (
    dynamodb_client,
    ecs_client,
    s3_client,
    s3_link_client,
    sqs_client,
    stepfunctions_client,
)
from batchmill.adapters.s3 import S3Objects


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def test_every_client_is_patient_for_a_long_poll_and_retries_as_standard() -> None:
    for client in (s3_client(), dynamodb_client(), sqs_client(), stepfunctions_client()):
        config: Any = client.meta.config
        assert config.read_timeout > 20
        assert config.retries == {"mode": "standard", "total_max_attempts": 5}
        assert client.meta.region_name == "eu-west-1"


def test_ecs_which_nobody_must_wait_for_gives_up_soon() -> None:
    config: Any = ecs_client().meta.config
    attempts = config.retries["total_max_attempts"]
    a_look_and_a_change = 2 * attempts * (config.connect_timeout + config.read_timeout)
    assert a_look_and_a_change < 30  # half of what dispatch may take
    assert config.user_agent_extra == "batchmill"


def test_s3_presigns_by_sigv4() -> None:
    url = s3_client().generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert "X-Amz-Credential=" in url


def test_the_endpoint_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert s3_client().meta.endpoint_url == "http://127.0.0.1:4566"


def test_a_link_is_signed_by_sigv4_and_names_the_buckets_own_region() -> None:
    link = urlsplit(S3Objects(s3_link_client()).presign("input-bucket", "a cat.png", 60))
    query = parse_qs(link.query)
    assert (link.netloc, link.path) == ("input-bucket.s3.eu-west-1.amazonaws.com", "/a%20cat.png")
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert (query["X-Amz-SignedHeaders"], query["X-Amz-Expires"]) == (["host"], ["60"])


def test_a_link_of_the_embedded_stack_names_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    link = urlsplit(S3Objects(s3_link_client()).presign("input-bucket", "cat.png", 60))
    assert (link.netloc, link.path) == ("127.0.0.1:4566", "/input-bucket/cat.png")
