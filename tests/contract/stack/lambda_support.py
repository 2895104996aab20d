"""Handlers for the tests of the embedded Lambda, and a service with functions made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batchmill.local.functions import FunctionService, FunctionSpec
from batchmill.local.router import Router

HANDLERS = '''
import json, os, pathlib, signal, subprocess, sys, time

def echo(event, context):
    return event

def about(event, context):
    return {
        "request_id": context.aws_request_id, "arn": context.invoked_function_arn, "name": context.function_name,
        "remaining_ms": context.get_remaining_time_in_millis(), "memory": context.memory_limit_in_mb,
        "log_group": context.log_group_name, "environment": dict(os.environ), "cwd": os.getcwd(), "pid": os.getpid(),
    }

def prints(event, context):
    print("a line of output")
    print("a line of error", file=sys.stderr)

def fails(event, context):
    raise ValueError("bad " + str(event))

def kills_itself(event, context):
    os.kill(os.getpid(), signal.SIGKILL)

def exits(event, context):
    sys.exit(3)

def dies_after(event, context):
    """Answers, and is dead a moment later."""
    import threading
    threading.Timer(0.05, os._exit, (1,)).start()
    return os.getpid()

def sleeps(event, context):
    print("going to sleep")
    time.sleep(event)
    return os.getpid()

def deaf(event, context):
    """Ignores SIGTERM, as does the child it starts, and says where they are."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    pathlib.Path(event).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)

def large(event, context):
    return "x" * event

def notes(event, context):
    """Appends its event to the file that the function's environment names; fails while it is told to."""
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps(event) + "\\n")
    if pathlib.Path(os.environ["NOTES"] + ".fail").exists():
        raise RuntimeError("told to")

def partial(event, context):
    """Fails the messages whose body starts with bad, as ReportBatchItemFailures has it."""
    notes(event, context)
    bad = [r["messageId"] for r in event["Records"] if r["body"].startswith("bad")]
    return {"batchItemFailures": [{"itemIdentifier": name} for name in bad]}

def meets(event, context):
    """Returns once `event["count"]` invocations have been here at the same time."""
    folder = pathlib.Path(event["folder"])
    (folder / context.aws_request_id).touch()
    while len(list(folder.iterdir())) < event["count"]:
        time.sleep(0.01)
    return os.getpid()

def meets_records(event, context):
    """The same for a batch of one SQS message."""
    return meets(json.loads(event["Records"][0]["body"]), context)
'''


class Functions:
    """A folder of handlers and a service; `add` makes one of the handlers a function."""

    def __init__(self, folder: Path, service: FunctionService) -> None:
        self.folder = folder
        self.service = service
        self.notes = folder / "notes.jsonl"

    def add(
        self, handler: str, *, name: str = "", timeout_seconds: int = 30, environments: int = 4,
        variables: dict[str, str] | None = None, dead_letter_arn: str | None = None,
    ) -> str:  # fmt: skip
        """Create the function `name` (or named as its handler), and return its ARN."""
        return self.service.create(
            FunctionSpec(
                name=name or handler,
                handler=f"handlers.{handler}",
                code_dir=self.folder,
                layer_dirs=(),
                environment={"NOTES": str(self.notes), **(variables or {})},
                timeout_seconds=timeout_seconds,
                memory_mb=256,
                max_environments=environments,
                dead_letter_arn=dead_letter_arn,
            )
        )


@contextmanager
def functions(folder: Path, **options: Any) -> Iterator[Functions]:
    """Give a service over the handlers above, with no endpoint behind it, and stop it."""
    (folder / "handlers.py").write_text(HANDLERS)
    options.setdefault("endpoint_url", "http://127.0.0.1:9")
    service = FunctionService(**options)
    try:
        yield Functions(folder, service)
    finally:
        service.stop()


@contextmanager
def stack(folder: Path, **options: Any) -> Iterator[tuple[Functions, Callable[[str], Any]]]:
    """Give functions behind a router, and its `client`; both are stopped."""
    router = Router()
    clients: list[Any] = []

    def client(service: str) -> Any:
        clients.append(router.client(service))
        return clients[-1]

    endpoint_url = router.start()
    try:
        with functions(folder, endpoint_url=endpoint_url, **options) as made:
            router.mount("lambda", made.service)
            yield made, client
    finally:
        router.stop()
        for made_client in clients:
            made_client.close()
