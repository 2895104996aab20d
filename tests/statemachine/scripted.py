"""The template's state machine, run whole by the embedded interpreter, with scripted functions in Lambda's place."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchmill.local.router import Router
from support.waiting import until

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

DEFINITION = Path(__file__).parents[2] / "statemachines/batch.asl.json"
ROLE = "arn:aws:iam::123456789012:role/batch"
DATA = "data"

Handler = Callable[[dict[str, Any]], Any]


class FunctionError(Exception):
    """What a scripted function raises. `name` is the name of its error; from `status` 400 on it is Lambda's own."""

    def __init__(self, name: str, status: int = 200) -> None:
        super().__init__(name)
        self.name, self.status = name, status


class ScriptedLambda:
    """Lambda's Invoke over HTTP: each function is a callable of the payload; the payloads are kept in `calls`."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.calls: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application: POST /2015-03-31/functions/<arn>/invocations."""
        found = re.search(r"functions/(?:.*:)?(\w+)/invocations", environ["PATH_INFO"].replace("%3A", ":"))
        assert found is not None
        payload = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        self.calls[found[1]].append(payload)
        status, headers, body = self._answer(found[1], payload)
        always = [("Content-Type", "application/json"), ("x-amzn-RequestId", "scripted")]
        start_response(f"{status} -", [*always, *headers])
        return [json.dumps(body).encode()]

    def _answer(self, function: str, payload: dict[str, Any]) -> tuple[int, list[tuple[str, str]], Any]:
        try:
            return 200, [], self.handlers[function](payload)
        except FunctionError as error:
            if error.status >= 400:
                return error.status, [("x-amzn-ErrorType", error.name)], {"message": "scripted"}
            body = {"errorType": error.name, "errorMessage": "scripted"}
            return 200, [("X-Amz-Function-Error", "Unhandled")], body


class Machine:
    """The deployed state machine with functions that do what a good day brings: three shards, each with its part."""

    def __init__(self, router: Router, functions: ScriptedLambda) -> None:
        self.functions = functions
        self.states = router.client("stepfunctions")
        self._s3 = router.client("s3")
        self._s3.create_bucket(Bucket=DATA)
        created = self.states.create_state_machine(name="batch", definition=rendered(), roleArn=ROLE)
        self.arn: str = created["stateMachineArn"]
        functions.handlers.update(
            Plan=lambda payload: {**payload, "done": True, "shards": self.listing("plan/shards.json", 3)},
            Admit=lambda payload: {**payload, "seconds_left": 60, "max_concurrency": 10},
            Dispatch=self.succeed,
            Close=lambda payload: self.missing(payload, 0),
            Land=lambda payload: {"n": payload["shard"]["n"]},
            Complete=lambda payload: {"batch_id": payload["batch_id"], "status": "completed"},
        )

    def on(self, function: str, handler: Handler) -> None:
        """Scripts another answer for a function."""
        self.functions.handlers[function] = handler

    def called(self, function: str) -> list[dict[str, Any]]:
        """The payloads that a function was given, in order."""
        return self.functions.calls[function]

    def listing(self, key: str, count: int) -> dict[str, Any]:
        """Puts a list of `count` shards into the data bucket; returns where it is."""
        shards = [{"n": n, "object": 0, "start": n, "end": n + 1, "first_line": None} for n in range(count)]
        self._s3.put_object(Bucket=DATA, Key=key, Body=json.dumps(shards).encode())
        return {"bucket": DATA, "key": key, "count": count}

    def missing(self, payload: dict[str, Any], count: int) -> dict[str, Any]:
        """What Close answers where `count` shards have no part."""
        where = self.listing("plan/missing.json", count)
        return {"batch_id": payload["batch_id"], "run": payload["run"], "missing": where, "grace_seconds": 0}

    def succeed(self, payload: dict[str, Any]) -> dict[str, Any]:
        """A Dispatch that finds the part there already, and answers its own token."""
        self.states.send_task_success(taskToken=payload["token"], output="{}")
        return {}

    def fail(self, payload: dict[str, Any], error: str) -> dict[str, Any]:
        """A Dispatch whose token is failed with `error`."""
        self.states.send_task_failure(taskToken=payload["token"], error=error, cause="scripted")
        return {}

    def run(self, entry: str = "start", seconds: float = 60.0) -> dict[str, Any]:
        """Runs one execution to its end; returns its description. Fails after `seconds`."""
        given = json.dumps({"batch_id": "b1", "run": 0, "entry": entry})
        arn = self.states.start_execution(stateMachineArn=self.arn, input=given)["executionArn"]
        until(lambda: self.states.describe_execution(executionArn=arn)["status"] != "RUNNING", seconds)
        described: dict[str, Any] = self.states.describe_execution(executionArn=arn)
        return described


def rendered() -> str:
    """The definition as deployed: an ARN for each placeholder."""
    arn = r"arn:aws:lambda:us-east-1:123456789012:function:\1"
    return re.sub(r"\$\{(\w+)FunctionArn\}", arn, DEFINITION.read_text())
