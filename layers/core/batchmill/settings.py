"""What a process is told by its environment. Read once, by bootstrap; nothing else looks at the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from batchmill.contracts.pools import POOLS, Pool
from batchmill.domain.errors import SpecInvalid


@dataclass(frozen=True)
class Settings:
    """A function's or worker's settings. Sizes in bytes, times in seconds."""

    table: str
    data_bucket: str
    input_bucket: str = ""
    state_machine_arn: str = ""
    pools: Mapping[str, Pool] | None = None
    shard_rows: int = 5000
    plan_seconds: float = 720.0
    max_concurrency: int = 1000
    lease_seconds: float = 60.0
    pool: str = "default"
    engine_url: str = ""
    engine_command: tuple[str, ...] = ()
    engine_key: str = ""
    window: int = 64
    checkpoint_seconds: float = 20.0
    poll_seconds: int = 10
    intake_queue_url: str = ""
    cancel_function: str = ""
    pause_function: str = ""
    api_key_secret_arn: str = ""
    callback_queue_url: str = ""
    callback_topic_arn: str = ""
    webhook_secret_arn: str = ""
    readable_buckets: tuple[str, ...] = ()
    webhook_allow: frozenset[str] = frozenset()  # this machine's own addresses: the embedded stack alone sets it

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """From variables BATCHMILL_*. Raises SpecInvalid naming the variable that is missing or malformed."""
        told = _Variables(environment)
        text, number = told.text, told.number
        return cls(
            table=text("TABLE"),
            data_bucket=text("DATA_BUCKET"),
            input_bucket=text("INPUT_BUCKET", ""),
            state_machine_arn=text("STATE_MACHINE_ARN", ""),
            pools=POOLS.validate_json(text("POOLS", "{}")),
            shard_rows=int(number("SHARD_ROWS", cls.shard_rows)),
            plan_seconds=number("PLAN_SECONDS", cls.plan_seconds),
            max_concurrency=int(number("MAX_CONCURRENCY", cls.max_concurrency)),
            lease_seconds=number("LEASE_SECONDS", cls.lease_seconds),
            pool=text("POOL", "default"),
            engine_url=text("ENGINE_URL", ""),
            engine_command=_command(text("ENGINE_COMMAND", "")),
            engine_key=text("ENGINE_KEY", ""),
            window=int(number("WINDOW", cls.window)),
            checkpoint_seconds=number("CHECKPOINT_SECONDS", cls.checkpoint_seconds),
            poll_seconds=int(number("POLL_SECONDS", cls.poll_seconds)),
            intake_queue_url=text("INTAKE_QUEUE_URL", ""),
            cancel_function=text("CANCEL_FUNCTION", ""),
            pause_function=text("PAUSE_FUNCTION", ""),
            api_key_secret_arn=text("API_KEY_SECRET_ARN", ""),
            callback_queue_url=text("CALLBACK_QUEUE_URL", ""),
            callback_topic_arn=text("CALLBACK_TOPIC_ARN", ""),
            webhook_secret_arn=text("WEBHOOK_SECRET_ARN", ""),
            readable_buckets=tuple(filter(None, text("READABLE_BUCKETS", "").split(","))),
            webhook_allow=frozenset(text("WEBHOOK_ALLOW", "").split()),
        )


@dataclass(frozen=True)
class _Variables:
    environment: Mapping[str, str]

    def text(self, name: str, default: str | None = None) -> str:
        value = self.environment.get(f"BATCHMILL_{name}", default)
        if value is None:
            raise SpecInvalid(f"the environment variable BATCHMILL_{name} is not set")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.text(name, str(default))
        try:
            return float(value)
        except ValueError:
            raise SpecInvalid(f"the environment variable BATCHMILL_{name} is not a number: {value!r}") from None


def _command(text: str) -> tuple[str, ...]:
    """A command as a JSON array, or split at blanks."""
    return tuple(json.loads(text)) if text.startswith("[") else tuple(text.split())
