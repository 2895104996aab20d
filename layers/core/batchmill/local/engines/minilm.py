"""The embedded engine: a real, small embedding model, served without a download.

`python -m batchmill.local.engines.minilm --port 0` prints one JSON line with its address when it is ready. Needs
the weights' package (locks/minilm.txt).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; exits with a message if the weights are not installed."""
    parser = argparse.ArgumentParser(description="all-MiniLM-L6-v2 behind an OpenAI-compatible server.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="batches computed at once (default: one a core)")
    given = parser.parse_args(arguments)
    # Several batches at once beat one batch on several BLAS threads. OpenBLAS reads this when numpy is imported,
    # which is why numpy and all that needs it are imported only now.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batchmill.local.engines.minilm_model import MODEL, MiniLM, WeightsMissing, weights_folder
    from batchmill.local.engines.minilm_server import MiniLMServer
    from batchmill.local.engines.serving import run_until_signal

    try:
        folder = weights_folder()
    except WeightsMissing as missing:
        sys.exit(str(missing))
    server = MiniLMServer(MiniLM(folder), given.threads or _cores())
    asyncio.run(run_until_signal(server.app(), given.port, MODEL))


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    main()
