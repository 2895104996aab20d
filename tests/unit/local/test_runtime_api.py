"""The Runtime API, spoken as a runtime speaks it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator

import pytest

from batchmill.local.runtime_api import Channel, Job, RuntimeApi

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
ROOT = "/2018-06-01/runtime"


class Runtime:
    """A runtime's side of a channel."""

    def __init__(self, channel: Channel) -> None:
        self.connection = http.client.HTTPConnection(channel.address)

    def next(self) -> tuple[http.client.HTTPMessage, bytes]:
        self.connection.request("GET", f"{ROOT}/invocation/next")
        answer = self.connection.getresponse()
        return answer.headers, answer.read()

    def post(self, path: str, body: bytes) -> int:
        self.connection.request("POST", f"{ROOT}/{path}", body)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status


@pytest.fixture
def channel() -> Iterator[Channel]:
    api = RuntimeApi()
    yield api.open()
    api.stop()


@pytest.fixture
def runtime(channel: Channel) -> Iterator[Runtime]:
    made = Runtime(channel)
    yield made
    made.connection.close()


def _offered(channel: Channel, payload: bytes = b"{}") -> Job:
    job = Job(payload, ARN, 30)
    channel.offer(job)
    return job


def test_next_carries_every_header_that_the_runtime_reads(channel: Channel, runtime: Runtime) -> None:
    job = _offered(channel, b'{"a": 1}')
    before_ms = time.time() * 1000
    headers, body = runtime.next()
    assert body == b'{"a": 1}'
    assert headers["Content-Type"] == "application/json"  # without it awslambdaric's client segfaults
    assert headers["Content-Length"] == "8"
    assert headers["Lambda-Runtime-Aws-Request-Id"] == job.request_id
    assert headers["Lambda-Runtime-Invoked-Function-Arn"] == ARN
    assert headers["Lambda-Runtime-Trace-Id"].startswith("Root=1-")
    started_ms = int(headers["Lambda-Runtime-Deadline-Ms"]) - 30_000
    assert before_ms - 1 <= started_ms <= time.time() * 1000
    assert job.taken.is_set()


def test_an_answer_is_the_outcome(channel: Channel, runtime: Runtime) -> None:
    job = _offered(channel)
    runtime.next()
    assert runtime.post(f"invocation/{job.request_id}/response", b"[1]") == 202
    assert (job.outcome.result().payload, job.outcome.result().function_error) == (b"[1]", None)


def test_an_error_is_the_outcome(channel: Channel, runtime: Runtime) -> None:
    job = _offered(channel)
    runtime.next()
    body = json.dumps({"errorType": "Oops", "errorMessage": "no"}).encode()
    assert runtime.post(f"invocation/{job.request_id}/error", body) == 202
    assert (job.outcome.result().function_error, job.outcome.result().error()) == ("Unhandled", ("Oops", "no"))


def test_an_answer_to_another_or_a_finished_invocation_is_refused(channel: Channel, runtime: Runtime) -> None:
    job = _offered(channel)
    runtime.next()
    assert runtime.post("invocation/other/response", b"1") == 400
    assert runtime.post(f"invocation/{job.request_id}/response", b"2") == 202
    assert runtime.post(f"invocation/{job.request_id}/response", b"3") == 400
    assert job.outcome.result().payload == b"2"


def test_an_answer_that_is_too_large_is_refused_and_fails_the_invocation(channel: Channel, runtime: Runtime) -> None:
    job = _offered(channel)
    runtime.next()
    assert runtime.post(f"invocation/{job.request_id}/response", b"x" * 6_291_557) == 413
    assert job.outcome.result().error()[0] == "Function.ResponseSizeTooLarge"


def test_an_init_error_fails_the_job_that_waits_and_those_that_come(channel: Channel, runtime: Runtime) -> None:
    waiting = _offered(channel)
    body = b'{"errorType": "Runtime.ImportModuleError", "errorMessage": "no module"}'
    assert runtime.post("init/error", body) == 202
    for job in (waiting, _offered(channel)):
        assert job.outcome.result().payload == body
        assert not job.taken.is_set()
    assert not channel.usable


def test_the_end_of_the_process_fails_the_job_in_flight(channel: Channel, runtime: Runtime) -> None:
    job = _offered(channel)
    runtime.next()
    channel.end("Runtime.ExitError", "Runtime exited with error: signal: killed")
    message = f"RequestId: {job.request_id} Error: Runtime exited with error: signal: killed"
    assert job.outcome.result().error() == ("Runtime.ExitError", message)


def test_a_path_that_is_not_there_is_not_found(runtime: Runtime) -> None:
    assert runtime.post("invocation", b"") == 404
