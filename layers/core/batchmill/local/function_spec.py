"""What a function is: the part of AWS::Lambda::Function that the embedded Lambda acts on, with AWS's limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchmill.local.account import ACCOUNT, REGION

ARN_PREFIX = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HANDLER = re.compile(r"[^\s.][^\s]*\.[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(
    r"(?:(?:arn:aws:lambda:[a-z0-9-]+:)?\d{12}:function:|function:)?([A-Za-z0-9_-]+)(?::([A-Za-z0-9$_-]+))?"
)
_RESERVED = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_)?REGION|AWS_EXECUTION_ENV|AWS_LAMBDA_.*|"
    r"AWS_ACCESS_KEY(_ID)?|AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN|LAMBDA_TASK_ROOT|LAMBDA_RUNTIME_DIR"
)
_ENVIRONMENT_BYTES = 4096


class InvalidFunction(ValueError):
    """A function that AWS would refuse to create; the message says why."""


@dataclass(frozen=True)
class FunctionSpec:
    """A function to run. `environment` holds the template's own variables; the service adds AWS's.

    `layer_dirs` are the folders that a layer puts on the import path (such as layers/core). `max_environments`
    bounds the processes, and so the concurrent invocations: further ones wait. `dead_letter_arn` is an SQS queue
    for events whose asynchronous invocation failed three times.
    """

    name: str
    handler: str
    code_dir: Path
    layer_dirs: tuple[Path, ...]
    environment: Mapping[str, str]
    timeout_seconds: int
    memory_mb: int
    max_environments: int = 4
    dead_letter_arn: str | None = None

    @property
    def arn(self) -> str:
        """The function's unqualified ARN."""
        return ARN_PREFIX + self.name

    def check(self) -> None:
        """Raise `InvalidFunction` for what AWS would refuse: names, ranges, reserved variables, over 4 KB of them."""
        if not _NAME.fullmatch(self.name):
            raise InvalidFunction(f"function name {self.name!r}: 1 to 64 letters, digits, hyphens or underscores")
        if not _HANDLER.fullmatch(self.handler):
            raise InvalidFunction(f"{self.name}: handler {self.handler!r} is not `module.function`")
        if not 1 <= self.timeout_seconds <= 900:
            raise InvalidFunction(f"{self.name}: a time-out of {self.timeout_seconds} s is not within 1 to 900")
        if not 128 <= self.memory_mb <= 10240:
            raise InvalidFunction(f"{self.name}: {self.memory_mb} MB of memory is not within 128 to 10240")
        if self.max_environments < 1:
            raise InvalidFunction(f"{self.name}: at least one environment is needed")
        self._check_environment()

    def _check_environment(self) -> None:
        reserved = sorted(key for key in self.environment if _RESERVED.fullmatch(key))
        if reserved:
            raise InvalidFunction(f"{self.name}: Lambda reserves the variables {', '.join(reserved)}")
        size = sum(len(key.encode()) + len(value.encode()) for key, value in self.environment.items())
        if size > _ENVIRONMENT_BYTES:
            raise InvalidFunction(f"{self.name}: {size} bytes of environment variables are over AWS's 4096")


def parse_reference(reference: str) -> tuple[str, str]:
    """Return (name, qualifier or "") of a function's name, partial ARN or ARN; raise `InvalidFunction` for others."""
    found = _REFERENCE.fullmatch(reference)
    if found is None or not _NAME.fullmatch(found.group(1)):
        raise InvalidFunction(f"{reference!r} is neither a function's name nor its ARN")
    return found.group(1), found.group(2) or ""
