"""An embedded stack a module (a process holds one at a time): the real template, machine, handlers and workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.deployed import Deployed, deployed


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("stack"), {"latency": {"median_ms": 2}}) as running:
        running.profile("embed", "endpoint: /v1/embeddings\ninput: '{{ text }}'\ncolumns: [id]\n")
        running.profile("chat", "endpoint: /v1/chat/completions\nprompt: '{{ text }}'\n")
        yield running


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A stack whose engine takes its time, so that something can happen in the middle of a shard."""
    with deployed(tmp_path_factory.mktemp("slow"), {"latency": {"median_ms": 250, "sigma": 0.3}}) as running:
        running.profile("embed", "endpoint: /v1/embeddings\ninput: '{{ text }}'\n")
        yield running
