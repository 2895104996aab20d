"""Which service a request is for."""

import pytest

from batchmill.local.router import service_of

SIGNED = "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize("service", ["s3", "dynamodb", "lambda", "states", "application-autoscaling"])
def test_the_authorization_header_names_the_service(service: str) -> None:
    assert service_of({"HTTP_AUTHORIZATION": SIGNED.format(service)}) == service


def test_a_presigned_url_names_the_service_in_its_query() -> None:
    query = "a=b&X-Amz-Credential=AK%2F20260101%2Fus-east-1%2Flambda%2Faws4_request&X-Amz-Date=x"
    assert service_of({"QUERY_STRING": query}) == "lambda"


@pytest.mark.parametrize("header", ["", "AWS AK:signature", "Bearer token", "AWS4-HMAC-SHA256 nonsense"])
def test_a_request_without_a_scope_is_for_s3(header: str) -> None:
    assert service_of({"HTTP_AUTHORIZATION": header, "QUERY_STRING": "Signature=x&Expires=1"}) == "s3"
