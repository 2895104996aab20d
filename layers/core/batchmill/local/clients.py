"""boto3 clients of the embedded stack: for whoever runs beside it, and for the tasks of its state machines."""

import os
import threading
from functools import lru_cache
from typing import Any

from batchmill.local.account import REGION

ACCESS_KEY = "batchmill"
SECRET_KEY = "local"

_TASKS = 256  # tasks of one map that may call a service at once
_FOREVER_SECONDS = 99_999_999  # a task's own time-out ends the wait

_lock = threading.Lock()


def local_client(service: str, endpoint_url: str, region: str = REGION, **config: Any) -> Any:
    """A boto3 client of a router. It reads neither the user's AWS configuration nor a proxy from the environment.

    `config` goes to botocore's Config. Calls are tried once: nothing between here and the router can fail by itself.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    nowhere = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    core = botocore.session.Session(session_vars={"profile": (None, None, None, None), **nowhere})
    session: Any = boto3.session.Session(botocore_session=core)
    return session.client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            proxies={},
            **config,
        ),
    )


def client_for(region: str, service: str, state_credentials: Any = None) -> Any:  # noqa: ARG001 - moto's signature
    """A client of the router for moto's interpreter: one a service, where moto would make one a task."""
    from moto.settings import moto_server_port

    with _lock:
        return _task_client(region or REGION, service, moto_server_port())


@lru_cache(maxsize=64)
def _task_client(region: str, service: str, port: str) -> Any:
    return local_client(
        service,
        f"http://127.0.0.1:{port}",
        region,
        parameter_validation=False,
        connect_timeout=_FOREVER_SECONDS,
        read_timeout=_FOREVER_SECONDS,
        max_pool_connections=_TASKS,
    )
