"""Step Functions in memory: what was started, and what was answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """How a token was answered: with success, or with an error name and its cause."""

    error: str | None = None
    cause: str = ""


@dataclass
class MemoryWorkflow:
    """Implements `ports.workflow.Workflow`.

    `wait` makes a token wait for its answer, as a child of the map does; an answer to any other goes to `stale`.
    `on_started` and `on_answered` let a simulation go on from there. `before` is called first in every operation
    with its name, and may raise.
    """

    on_started: Callable[[str, Mapping[str, object]], None] | None = None
    on_answered: Callable[[str, Answer], None] | None = None
    before: Callable[[str], None] | None = None
    executions: dict[str, Mapping[str, object]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    answers: dict[str, Answer] = field(default_factory=dict)
    stale: list[tuple[str, Answer]] = field(default_factory=list)

    def start(self, name: str, payload: Mapping[str, object]) -> bool:
        self._begin("start")
        if name in self.executions:
            return name not in self.ended and self.executions[name] == payload
        self.executions[name] = json.loads(json.dumps(payload))
        if self.on_started:
            self.on_started(name, self.executions[name])
        return True

    def succeed(self, token: str) -> None:
        self._begin("succeed")
        self._answer(token, Answer())

    def fail(self, token: str, error: str, cause: str) -> None:
        self._begin("fail")
        self._answer(token, Answer(error, cause))

    def wait(self, token: str) -> None:
        """Not of the port: a task waits with this token."""
        self.waiting.add(token)

    def end(self, name: str) -> None:
        """Not of the port: the execution is over, and its tokens with it; its name is refused from now on."""
        self.ended.add(name)

    def _begin(self, operation: str) -> None:
        if self.before:
            self.before(operation)

    def _answer(self, token: str, answer: Answer) -> None:
        if token not in self.waiting:
            self.stale.append((token, answer))
            return
        self.waiting.discard(token)
        self.answers[token] = answer
        if self.on_answered:
            self.on_answered(token, answer)
