"""Execution environments: one process each, running the real `awslambdaric` against the Runtime API.

Where awslambdaric cannot be imported (it has no wheel for macOS), the process runs `standin_runtime` instead,
which speaks the same API; `RUNTIME` says which, and the stack prints it at start.
"""

import importlib.util
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from pathlib import Path

from batchmill.local.account import REGION
from batchmill.local.environment_logs import FunctionLog, OutputFile, tail
from batchmill.local.function_spec import FunctionSpec
from batchmill.local.router import ACCESS_KEY, SECRET_KEY
from batchmill.local.runtime_api import Channel, Invocation, Job, RuntimeApi, failure

REAL = "awslambdaric"
STANDIN = "stand-in (no awslambdaric on this platform)"
RUNTIME = REAL if importlib.util.find_spec("awslambdaric") else STANDIN
INIT_SECONDS = 60.0
"""How long initialisation may take. AWS gives 10 s, but this machine may be slower, and busy with the engine."""

_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "SYSTEMROOT")
# PR_SET_PDEATHSIG is 1: the kernel kills the environment with the thread that started it. It is set by the child
# (not by preexec_fn, which is unsafe where there are threads); a parent that died before is noticed by its id.
_START_REAL = (
    "import ctypes, os, runpy, sys\n"
    "ctypes.CDLL(None).prctl(1, 9)\n"
    "if os.getppid() != int(sys.argv.pop(1)): os._exit(1)\n"
    "runpy.run_module('awslambdaric', run_name='__main__', alter_sys=True)\n"
)
_log = logging.getLogger(__name__)


class EnvironmentGone(Exception):
    """The process had ended before it was given the invocation: another environment may have it."""


@dataclass
class Host:
    """What the environments of one service share.

    Processes are started by one lasting thread, because Linux ends a child when the thread that started it ends,
    not when the parent does. `home` is an empty folder: no AWS profile of the user's reaches a function.
    """

    endpoint_url: str
    home: Path
    runtime: str = RUNTIME
    api: RuntimeApi = field(default_factory=RuntimeApi)
    starter: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="lambda-starter")
    )

    def stop(self) -> None:
        """End the threads; every environment must have ended."""
        self.starter.shutdown()
        self.api.stop()


def variables(spec: FunctionSpec, host: Host, runtime_api: str, stream: str) -> dict[str, str]:
    """Return the whole environment of a function's process: nothing of the parent's but where programs are."""
    passed = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    return {
        **passed,
        "AWS_ENDPOINT_URL": host.endpoint_url,
        **spec.environment,
        "HOME": str(host.home),
        "TZ": "UTC",
        "PYTHONPATH": os.pathsep.join(str(path.resolve()) for path in (spec.code_dir, *spec.layer_dirs)),
        "LAMBDA_TASK_ROOT": str(spec.code_dir.resolve()),
        "_HANDLER": spec.handler,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_TRACE_DISABLED": "true",  # nothing here takes traces
    }


class Environment:
    """One process of one function, started at once and used for one invocation at a time."""

    def __init__(self, spec: FunctionSpec, host: Host, log: FunctionLog) -> None:
        self.idle_since = 0.0
        self._spec = spec
        self._host = host
        self._log = log
        self._output = OutputFile()
        self._channel: Channel = host.api.open()
        self._served = False
        self._process: subprocess.Popen[bytes] = host.starter.submit(self._start).result()
        self._gone = threading.Event()
        threading.Thread(target=self._watch, name=f"lambda-{spec.name}-watch", daemon=True).start()

    def _start(self) -> subprocess.Popen[bytes]:
        stream = f"{time.strftime('%Y/%m/%d')}/[$LATEST]{self._channel.address.rpartition(':')[2]}"
        if self._host.runtime == REAL:
            command = [sys.executable, "-c", _START_REAL, str(os.getpid()), self._spec.handler]
        else:
            program = Path(__file__).with_name("standin_runtime.py").read_text(encoding="utf-8")
            command = [sys.executable, "-u", "-c", program, self._spec.handler]
        return subprocess.Popen(
            command,
            cwd=self._spec.code_dir,
            env=variables(self._spec, self._host, self._channel.address, stream),
            stdin=subprocess.DEVNULL,
            stdout=self._output.fileno(),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it may be given another invocation."""
        return self._channel.usable and not self._gone.is_set()

    @property
    def ready(self) -> bool:
        """Whether it has been initialised, or never will be."""
        return self._channel.ready.is_set() or not self.usable

    def invoke(self, payload: bytes, request_id: str) -> Invocation:
        """Run one invocation and return how it ended, also if the process died or ran out of time.

        Raises `EnvironmentGone` where an environment that served before had ended unnoticed.
        """
        job = Job(payload, self._spec.arn, self._spec.timeout_seconds, request_id)
        started = time.monotonic()
        self._channel.offer(job)
        outcome = self._outcome(job)
        if self._served and not job.taken.is_set():
            raise EnvironmentGone(self._spec.name)
        self._served = True
        took_ms = (time.monotonic() - started) * 1000
        text = (
            f"START RequestId: {request_id} Version: $LATEST\n{self._output.take()}"
            f"END RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: {took_ms:.2f} ms\t"
            f"Memory Size: {self._spec.memory_mb} MB\n"
        )
        self._log.write(text)
        return Invocation(outcome.payload, outcome.function_error, request_id, tail(text))

    def _outcome(self, job: Job) -> Invocation:
        limit = float(self._spec.timeout_seconds)
        if not job.moved.wait(INIT_SECONDS):
            limit = INIT_SECONDS
        else:
            try:
                outcome = job.outcome.result(limit)
            except FutureTimeout:
                pass
            else:
                if outcome.error()[0] == "Function.ResponseSizeTooLarge":
                    self.kill()  # awslambdaric ends after such a refusal, a moment later
                return outcome
        message = f"RequestId: {job.request_id} Error: Task timed out after {limit:.2f} seconds"
        job.finish(failure(job.request_id, "Sandbox.Timedout", message))
        self.kill()
        return job.outcome.result()

    def _watch(self) -> None:
        """Wait for the process to end; then end what it left running, and fail what it was doing."""
        if hasattr(os, "waitid"):  # not on every macOS
            # Waits without reaping, so that the group's number cannot be another's when it is signalled.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self._signal(signal.SIGKILL)
        code = self._process.wait()
        self._channel.end("Runtime.ExitError", f"Runtime exited {_reason(code)}")
        self._host.api.close(self._channel)
        self._gone.set()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            _log.debug("environment %d of %s has ended", self.pid, self._spec.name)

    def terminate(self) -> None:
        """Ask the process, and whatever it started, to end."""
        if not self._gone.is_set():
            self._signal(signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Wait for the process to end by itself; return whether it has."""
        return self._gone.wait(seconds)

    def kill(self) -> None:
        """End the process and whatever it started, now; returns when it has ended."""
        self._channel.end("Runtime.ExitError", "Runtime exited with error: signal: killed")
        if not self._gone.is_set():
            self._signal(signal.SIGKILL)
        self._gone.wait()

    def close(self) -> None:
        """Kill the process if it still runs, log what it wrote last, and drop its output."""
        self.kill()
        self._log.write(self._output.take())
        self._output.close()


def _reason(code: int) -> str:
    if code < 0:
        names = {signal.SIGKILL: "killed", signal.SIGTERM: "terminated", signal.SIGSEGV: "segmentation fault"}
        return f"with error: signal: {names.get(signal.Signals(-code), signal.Signals(-code).name)}"
    return f"with error: exit status {code}" if code else "without providing a reason"
