"""What the fidelity tests of the embedded stack share: a Lambda of Python functions, state machines, queues."""

import itertools
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from batchmill.local.account import ACCOUNT, REGION
from batchmill.local.router import Router
from support.waiting import until

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ROLE = f"arn:aws:iam::{ACCOUNT}:role/test"
_NUMBERS = itertools.count()


class FakeLambda:
    """Lambda's Invoke, over Python functions by name. A function that raises is a function error of that class."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[[Any], Any]] = {}
        self.calls: list[tuple[str, Any]] = []
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        name = environ["PATH_INFO"].split("/")[3].rsplit(":", 1)[-1]
        event = json.loads(environ["wsgi.input"].read() or b"null")
        with self._lock:
            self.calls.append((name, event))
        headers = [("Content-Type", "application/json")]
        try:
            result = self.functions[name](event)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything, as on Lambda
            headers.append(("X-Amz-Function-Error", "Unhandled"))
            result = {"errorType": type(error).__name__, "errorMessage": str(error)}
        start_response("200 OK", headers)
        return [json.dumps(result).encode()]

    def arn(self, name: str) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


class Machines:
    """Makes state machines, starts executions and waits for them."""

    def __init__(self, router: Router) -> None:
        self.client = router.client("stepfunctions")

    def create(self, definition: Mapping[str, Any]) -> str:
        machine = self.client.create_state_machine(
            name=f"machine-{next(_NUMBERS)}", definition=json.dumps(definition), roleArn=ROLE
        )
        return str(machine["stateMachineArn"])

    def start(self, machine: str, value: Any = None, name: str | None = None) -> str:
        given = {} if name is None else {"name": name}
        started = self.client.start_execution(
            stateMachineArn=machine, input=json.dumps({} if value is None else value), **given
        )
        return str(started["executionArn"])

    def status(self, execution: str) -> str:
        return str(self.client.describe_execution(executionArn=execution)["status"])

    def wait(self, execution: str) -> dict[str, Any]:
        until(lambda: self.status(execution) != "RUNNING")
        described: dict[str, Any] = self.client.describe_execution(executionArn=execution)
        return described

    def run(self, definition: Mapping[str, Any], value: Any = None) -> dict[str, Any]:
        return self.wait(self.start(self.create(definition), value))


class Inbox:
    """A queue, and what arrived in it."""

    def __init__(self, router: Router, name: str) -> None:
        self.client = router.client("sqs")
        self.url = str(self.client.create_queue(QueueName=name)["QueueUrl"])
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        self._seen: list[Any] = []

    def take(self) -> list[Any]:
        """Everything that has arrived so far, in order, as parsed JSON."""
        while True:
            answer = self.client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
            if not answer.get("Messages"):
                return self._seen
            for message in answer["Messages"]:
                self._seen.append(json.loads(message["Body"]))
                self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def expect(self, count: int) -> list[Any]:
        """Waits for `count` messages, and returns them."""
        until(lambda: len(self.take()) >= count)
        return self.take()


def rule(router: Router, name: str, pattern: Mapping[str, Any], target_arn: str, **target: Any) -> str:
    """Makes a rule of the default bus with one target; returns its ARN."""
    events = router.client("events")
    arn = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "one", "Arn": target_arn, **target}])
    return str(arn)


def error_code(error: ClientError) -> str:
    """What AWS calls the error."""
    return str(error.response["Error"]["Code"])
