"""The pool as it is deployed: weights from a hub, in the bucket, streamed by the vLLM of the task definition."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchmill.adapters.engine_process import EngineProcess
from batchmill.local.stack import Stack, StackOptions
from fakes.hub import FakeHub
from support.deployed import ROOT, Deployed
from workers import weights
from workers.weights import Hub, Place

MODEL, COMMIT = "org/tiny", "c" * 40
ROWS = 20
PROFILE = "endpoint: /v1/chat/completions\nprompt: 'Why {{ word }}?'\nparams: {max_tokens: 5}\n"
# The environment has no distribution named vllm, so no such command: this one takes the arguments of `vllm serve`.
COMMAND = """#!/bin/sh
[ "$1" = serve ] || exit 2
model=$2; shift 2
exec "{python}" -m vllm.entrypoints.openai.api_server --model "$model" "$@"
"""


@pytest.fixture
def hub(vllm_process: EngineProcess) -> Iterator[Hub]:
    """A hub with the tiny model, which the server's fixture has made."""
    folder = ROOT / "out" / "vllm" / "tiny-llama"
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != weights.COMPLETE}
    fake = FakeHub()
    fake.add(MODEL, COMMIT, files)
    with fake.serve() as address:
        yield Hub(address)


@pytest.fixture
def pool(vllm_process: EngineProcess, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """The stack without a worker, as it is deployed, on a machine with a `vllm` and without a GPU."""
    command = tmp_path / "vllm"
    command.write_text(COMMAND.format(python=ROOT / ".venv-vllm" / "bin" / "python"))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    # A bucket of an address has no name in DNS.
    monkeypatch.setenv("RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING", "0")
    parameters = {
        "Model": MODEL,
        "EngineArguments": "--dtype float32 --max-model-len 1024 --enforce-eager --block-size 32",
    }
    options = StackOptions(ROOT / "template.yaml", parameters, workers=0, speed=30, log_folder=tmp_path)
    with Stack(options) as stack:
        yield Deployed(stack, stack.host.stacks["batchmill"], vllm_process, tmp_path)


def test_the_engine_serves_the_weights_that_the_build_has_brought(pool: Deployed, hub: Hub) -> None:
    place = Place(pool.s3, f"s3://{pool.data}/models/{MODEL}/main/")
    weights.bring(hub, place, MODEL, "main", print)
    pool.profile("why", PROFILE)

    batch = pool.drop("why/words.jsonl", b"\n".join(json.dumps({"word": f"word {n}"}).encode() for n in range(ROWS)))
    status = pool.final(batch, 400.0).status.value

    logs = "\n".join(path.read_text() for path in pool.folder.glob("*.log"))
    assert status == "completed", logs[-5000:]
    rows = pool.rows(batch)
    assert Counter(row["status"] for row in rows) == {"ok": ROWS}
    assert {row["model"] for row in rows} == {MODEL}
