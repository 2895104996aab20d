"""The embedded stack together with an engine: what `run` and `up` start and end."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import batchmill
from batchmill.adapters.engine import AiohttpEngine
from batchmill.adapters.engine_process import EngineProcess
from batchmill.commands import processes
from batchmill.contracts.pools import UNKNOWN_MODEL
from batchmill.domain.errors import SpecInvalid, Transient, UserError
from batchmill.local.host import Deployment
from batchmill.local.kinds.storage import read_secret
from batchmill.local.stack import Stack, StackOptions

SPEED = 30.0
"""How many times faster than AWS's the schedules' clock runs: a minute lasts two seconds."""
LOCAL_PARAMETERS = {"LeaseSeconds": "6", "ShardRows": "1000", "MaxConcurrency": "50"}
"""Smaller than on AWS: workers report three times a lease, a person watches; a child of the map is a thread here."""
EMBEDDED_ENDPOINTS = ("/v1/embeddings", "/v1/score", "/v1/classify")
_ENGINE_START_S = 60.0
_MINILM = (sys.executable, "-m", "batchmill.local.engines.minilm", "--port", "{port}")


class EngineUnreachable(UserError):
    """Nobody answers at the engine's URL."""

    code = "engine_unreachable"


@dataclass(frozen=True)
class EmbeddedOptions:
    """`engine_url` None: the embedded engine. `window` None: the worker's own. `logs` None: a folder thrown away.

    `data` None: memory only.
    """

    engine_url: str | None = None
    engine_key: str = ""
    model: str | None = None
    workers: int = 1
    window: int | None = None
    speed: float = SPEED
    port: int = 0
    logs: Path | None = None
    data: Path | None = None
    api_port: int = 0


@dataclass(frozen=True)
class Running:
    """What runs, and where."""

    deployment: Deployment
    endpoint_url: str
    engine_url: str
    model: str
    api_key: str = ""
    logs: Path | None = None


class Embedded:
    """One embedded stack with its engine. `tell` is called with lines for a person.

    `stop` may be called at any time, and leaves no process behind.
    """

    def __init__(self, options: EmbeddedOptions, tell: Callable[[str], None]) -> None:
        self._options, self._tell = options, tell
        self._engine: EngineProcess | None = None
        self._stack: Stack | None = None
        self._own_logs = options.logs is None
        self._logs = options.logs or Path(tempfile.mkdtemp(prefix="batchmill-"))

    @property
    def stack(self) -> Stack:
        """The started stack."""
        assert self._stack is not None
        return self._stack

    def start(self) -> Running:
        """Start engine and stack. Raises EngineUnreachable, EngineStartFailed, SpecInvalid (model), UserError.

        With a data folder: DataFolderUnusable where another stack uses it, or it is none.
        """
        processes.adopt_orphans()
        self._logs.mkdir(parents=True, exist_ok=True)
        url = self._options.engine_url or self._start_engine()
        model = asyncio.run(model_served(url, self._options.engine_key, self._options.model))
        self._stack = Stack(self._stack_options(url, model), self._tell)
        try:
            deployment = self._stack.start()
        except OSError as error:
            raise UserError(
                f"the embedded stack cannot start: {error.strerror or error} (are --port and --api-port free?)"
            ) from None
        key = read_secret(self._stack.client("secretsmanager"), deployment.outputs["ApiKeySecretArn"])
        return Running(deployment, self._stack.endpoint_url, url, model, key, self._logs)

    def stop(self) -> None:
        """End the stack, then the engine; kill what may be left."""
        try:
            if self._stack is not None:
                self._stack.stop()
        finally:
            if self._engine is not None:
                asyncio.run(self._engine.stop(grace_s=5.0))
            processes.kill_descendants()
            if self._own_logs:
                shutil.rmtree(self._logs, ignore_errors=True)

    def _start_engine(self) -> str:
        self._tell("starting the embedded engine (all-MiniLM-L6-v2)")
        self._engine = EngineProcess(_MINILM, self._logs / "engine.log", start_limit_s=_ENGINE_START_S)
        asyncio.run(self._engine.start())
        return self._engine.url

    def _stack_options(self, url: str, model: str) -> StackOptions:
        environment = {"BATCHMILL_ENGINE_URL": url, "BATCHMILL_POLL_SECONDS": "1"}
        if self._options.engine_key:
            environment["BATCHMILL_ENGINE_KEY"] = self._options.engine_key
        if self._options.window:
            environment["BATCHMILL_WINDOW"] = str(self._options.window)
        return StackOptions(
            template=template_path(),
            parameters={"Model": model, "ModelRevision": "local", **LOCAL_PARAMETERS},
            workers=self._options.workers,
            environment=environment,
            speed=self._options.speed,
            port=self._options.port,
            api_port=self._options.api_port,
            log_folder=self._logs,
            data_folder=self._options.data,
        )


def template_path() -> Path:
    """The project's template.yaml, beside the source of this package. Raises UserError where it is not there."""
    path = Path(batchmill.__file__).resolve().parents[3] / "template.yaml"
    if not path.is_file():
        raise UserError("the embedded stack needs the project's folder (template.yaml): install from a checkout of it")
    return path


async def model_served(url: str, key: str, wanted: str | None) -> str:
    """The model that an engine serves: `wanted` if given, else the only one that it lists.

    Raises EngineUnreachable; SpecInvalid where it does not serve `wanted`, or lists several and none is wanted.
    """
    if not url.startswith(("http://", "https://")):
        raise SpecInvalid(f"--engine {url}: write a URL, such as http://127.0.0.1:8000/v1")
    engine = AiohttpEngine(url, api_key=key or None)
    try:
        listed = list(await engine.models())
    except Transient:
        if wanted is None and not await engine.healthy():
            raise EngineUnreachable(f"--engine {url}: nobody answers, or asks for a key (--engine-key-env)") from None
        return wanted or UNKNOWN_MODEL
    finally:
        await engine.close()
    if wanted is not None and wanted not in listed:
        raise SpecInvalid(f"--model {wanted}: the engine at {url} serves {', '.join(listed) or 'none'}")
    if wanted is None and len(listed) > 1:
        raise SpecInvalid(f"the engine at {url} serves several models: say --model, one of {', '.join(listed)}")
    return wanted or (listed[0] if listed else UNKNOWN_MODEL)


def check_endpoint(endpoint: str, engine_url: str | None) -> None:
    """Raises SpecInvalid for an endpoint that the embedded engine does not answer."""
    if engine_url is None and endpoint not in EMBEDDED_ENDPOINTS:
        raise SpecInvalid(
            f"the embedded engine does not answer {endpoint}, only {', '.join(EMBEDDED_ENDPOINTS)}: "
            "say --endpoint, or give an engine of yours with --engine http://HOST:PORT/v1"
        )
