"""moto's services as WSGI applications, one each, behind the embedded stack's router.

moto is imported only when the first application is built: its switches are read at import.
"""

import importlib
import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from batchmill.local import bucket_events, bus, sqs_front, workflow_runtime
from batchmill.local.account import ACCOUNT, REGION
from batchmill.local.keeping.durability import Durability, NotKept, memory_only
from batchmill.local.s3_front import S3Front
from batchmill.local.sqs_front import SqsFront
from batchmill.local.wire import call, json_error
from batchmill.local.workflows import WorkflowsFront

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ACCOUNT", "REGION", "SERVICES", "MotoApps", "OneAtATime", "configure", "reset"]

# SigV4 signing name -> moto's module. Only what the stack leans on; anything else is a clear error.
SERVICES = {
    "application-autoscaling": "applicationautoscaling",
    "dynamodb": "dynamodb",
    "ec2": "ec2",
    "ecr": "ecr",
    "events": "events",
    "iam": "iam",
    "kms": "kms",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "s3": "s3",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "states": "stepfunctions",
    "sts": "sts",
}

_SWITCHES = {
    "MOTO_DISABLE_GLOBAL_CORS": "true",  # a bucket answers CORS by its own configuration, as on AWS
    "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "false",
}


class MotoApps:
    """Builds and keeps each service's application: moto's, behind our front where it needs one. Thread-safe.

    `durability` is told of every change, from when it is set.
    """

    def __init__(self) -> None:
        self.durability: Durability = memory_only()
        self._apps: dict[str, WSGIApplication] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def get(self, service: str) -> "WSGIApplication | None":
        """The application for a SigV4 signing name, or None where the stack has no such service."""
        app = self._apps.get(service)
        if app is None and service in SERVICES:
            with self._lock:
                app = self._apps.get(service) or self._fronted(service)
                self._apps[service] = app
        return app

    def stop(self) -> None:
        """Ends the long polls that are waiting."""
        self._stopping.set()

    def _fronted(self, service: str) -> "WSGIApplication":
        app = _build(SERVICES[service])
        if service == "s3":
            return S3Front(app, bus.publish, lambda: self.durability)
        if service == "sqs":
            return SqsFront(app, self._stopping, lambda: self.durability)
        if service == "dynamodb":
            return OneAtATime(app, lambda environ: self.durability.items_changed(environ))
        if service == "secretsmanager":
            return OneAtATime(app, lambda _: self.durability.secrets_changed())
        if service == "events":
            return bus.EventsFront(app)
        if service == "states":
            workflow_runtime.install()
            return WorkflowsFront(app)
        return OneAtATime(app)


class OneAtATime:
    """An application that answers one request at a time: moto's conditional writes are not atomic by themselves.

    `after` is called with each request once it has run, and may raise NotKept.
    """

    def __init__(self, app: "WSGIApplication", after: "Callable[[WSGIEnvironment], None] | None" = None) -> None:
        self._app, self._after = app, after
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answers one request."""
        with self._lock:
            response = call(self._app, environ)
            try:
                if self._after is not None:
                    self._after(environ)
            except NotKept as trouble:
                response = json_error("InternalServerError", str(trouble), 500)
        return response(environ, start_response)


def configure(port: int) -> None:
    """Sets moto's switches for a router on `port`: executions are really run, and call back to that port."""
    os.environ.update(_SWITCHES)
    point_at(port)
    for name in ("moto", "werkzeug"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False  # their warnings are about moto's own gaps, not about the user's batch
    config = importlib.import_module("moto.core.config")
    config.default_user_config["stepfunctions"] = {"execute_state_machine": True}
    bucket_events.install()
    bus.install()
    sqs_front.install()


def point_at(port: int) -> None:
    """Makes executions call the services at a router's port."""
    os.environ["MOTO_PORT"] = str(port)


def halt() -> None:
    """Stops every execution that runs."""
    workflow_runtime.stop_all()


def reset() -> None:
    """Forgets every bucket, table, queue, rule and execution."""
    importlib.import_module("moto.moto_api._internal.models").moto_api_backend.reset()


def _build(module: str) -> "WSGIApplication":
    app: WSGIApplication = importlib.import_module("moto.moto_server.werkzeug_app").create_backend_app(module)
    return app
