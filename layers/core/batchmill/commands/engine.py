"""`batchmill engine`: the embedded engine by itself, for others to use."""

from __future__ import annotations

import click


@click.group()
def engine() -> None:
    """Run an engine that comes with batchmill."""


@engine.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="A free one if 0.")
def minilm(port: int) -> None:
    """Serve all-MiniLM-L6-v2 (embeddings, score, classify) until Ctrl-C; prints one JSON line when ready."""
    from batchmill.local.engines.minilm import main

    main(["--port", str(port)])
