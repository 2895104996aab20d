"""One real vLLM server, on CPU, for the whole run: a tiny model of random weights, started by the engine adapter.

`make test-vllm` makes the environment (tests/vllm/make_env.sh) and selects these tests by their marker. Asked for
without the environment they fail; nothing is skipped.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from batchmill.adapters.engine import AiohttpEngine
from batchmill.adapters.engine_process import EngineProcess

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
MODEL_FOLDER = ROOT / "out" / "vllm" / "tiny-llama"
MODEL = "tiny-llama"
START_LIMIT_S = 600.0

OPTIONS = {
    "--model": str(MODEL_FOLDER),
    "--served-model-name": MODEL,
    "--host": "127.0.0.1",
    "--port": "{port}",
    "--dtype": "float32",
    "--max-model-len": "1024",
    "--max-num-seqs": "64",
    "--block-size": "32",
}
SWITCHES = ["--enforce-eager", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a vllm test, and the first of them pays for the server's start."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.timeout(START_LIMIT_S + 300))


@pytest.fixture(scope="session")
def vllm_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """The server's process, not started; ended after the last test."""
    if not PYTHON.exists():
        pytest.fail("no .venv-vllm here: `make test-vllm` makes it (tests/vllm/make_env.sh)", pytrace=False)
    subprocess.run([PYTHON, HERE / "tiny_model.py", MODEL_FOLDER], check=True, capture_output=True)
    pairs = [part for option in OPTIONS.items() for part in option]
    command = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", *pairs, *SWITCHES]
    log = tmp_path_factory.mktemp("vllm") / "engine.log"
    process = EngineProcess(command, log, environment=ENVIRONMENT, start_limit_s=START_LIMIT_S)
    yield process
    asyncio.run(process.stop())


@pytest.fixture
async def vllm_url(vllm_process: EngineProcess) -> str:
    """The base URL, with `/v1`, of the running server; it is started if it does not run."""
    await vllm_process.start()
    return vllm_process.url


@pytest.fixture
async def engine(vllm_url: str) -> AsyncIterator[AiohttpEngine]:
    """A client of the running server."""
    client = AiohttpEngine(vllm_url, timeout_s=120)
    yield client
    await client.close()
