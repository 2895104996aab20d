"""The ECS worker: an engine as its child (or one at a URL), and the work step over it until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from batchmill import bootstrap
from batchmill.adapters.engine import AiohttpEngine
from batchmill.adapters.engine_process import EngineProcess
from batchmill.domain.errors import BatchmillError, EngineStartFailed
from batchmill.observability import worker_logging

THREADS = 16
"""For calls that block (boto3): both shards' renewals, checkpoints and reads, and the queue's long polls."""

log = logging.getLogger("batchmill.worker")


async def main() -> int:
    """Work until SIGTERM; the exit status: 0 told to stop, 1 trouble that ECS should replace this task for."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    settings = bootstrap.settings()
    process = None
    url = settings.engine_url
    try:
        if not url:
            logs = Path(tempfile.mkdtemp(prefix="batchmill-engine-"))
            process = EngineProcess(settings.engine_command, log_path=logs / "engine.log")
            await process.start(on_progress=_tell)
            url = process.url
        return await _work(url, settings.engine_key)
    except EngineStartFailed as error:
        log.error("%s", error)
        return 1
    finally:
        if process is not None:
            await process.stop()


async def _work(url: str, key: str) -> int:
    engine = AiohttpEngine(url, api_key=key or None)
    work = bootstrap.work(engine)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.stop.set)
    log.info("worker %s is ready, engine at %s", os.getpid(), url)
    status = 0
    try:
        await work.run()
    except* BatchmillError as group:
        for error in group.exceptions:
            log.error("%s", error)
        status = 1
    finally:
        await engine.close()
    return status


def _tell(seconds: float, line: str) -> None:
    log.info("the engine has been starting for %.0f s: %s", seconds, line)


if __name__ == "__main__":
    worker_logging(os.environ.get("LOG_LEVEL", "INFO"))
    sys.exit(asyncio.run(main()))
