"""A runtime for where awslambdaric has no build: the same Runtime API, in plain Python, as an environment's process.

Its source is the program of a new process (`python -c`), so it imports nothing of this package. It is a stand-in:
shapes of errors and the context's main attributes are awslambdaric's, its log formats and hooks are not there.
"""

import http.client
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_PREFIX = "/2018-06-01/runtime/"


class Context:
    """The handler's second argument."""

    def __init__(self, headers: "http.client.HTTPMessage") -> None:
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.client_context = None
        self.identity = None
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation has left, in ms; 0 when it is over."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


def _error(raised: BaseException, kind: str = "") -> bytes:
    body = {
        "errorMessage": str(raised),
        "errorType": kind or type(raised).__name__,
        "requestId": "",
        "stackTrace": traceback.format_tb(raised.__traceback__),
    }
    print(f"[ERROR] {body['errorType']}: {body['errorMessage']}", *body["stackTrace"], flush=True)  # noqa: T201
    return json.dumps(body).encode()


def _post(api: http.client.HTTPConnection, path: str, body: bytes) -> None:
    api.request("POST", _PREFIX + path, body, {"Content-Type": "application/json"})
    answer = api.getresponse()
    answer.read()
    if answer.status != http.client.ACCEPTED:
        sys.exit(1)


def _load(api: http.client.HTTPConnection, name: str) -> Callable[[Any, Any], Any]:
    module, _, function = name.rpartition(".")
    try:
        handler: Callable[[Any, Any], Any] = getattr(importlib.import_module(module.replace("/", ".")), function)
    except ImportError as raised:
        raised.msg = f"Unable to import module '{module}': {raised.msg}"
        _post(api, "init/error", _error(raised, "Runtime.ImportModuleError"))
        sys.exit(1)
    except Exception as raised:  # noqa: BLE001 (whatever the user's module raises is the answer)
        _post(api, "init/error", _error(raised))
        sys.exit(1)
    return handler


def main() -> None:
    """Serve invocations until the Runtime API is gone."""
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    handler = _load(api, sys.argv[1])
    while True:
        api.request("GET", _PREFIX + "invocation/next")
        answer = api.getresponse()
        event = answer.read()
        context = Context(answer.headers)
        try:
            outcome, body = "response", json.dumps(handler(json.loads(event), context)).encode()
        except Exception as raised:  # noqa: BLE001 (whatever the handler raises is the answer)
            outcome, body = "error", _error(raised)
        sys.stdout.flush()
        _post(api, f"invocation/{context.aws_request_id}/{outcome}", body)


if __name__ == "__main__":
    main()
