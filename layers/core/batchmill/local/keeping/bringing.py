"""Bringing a deployed stack back to where its data folder says it was, before anything in it moves."""

from __future__ import annotations

from collections.abc import Callable

from batchmill.local.host import Deployment, Host
from batchmill.local.keeping.continuing import continue_batches
from batchmill.local.keeping.folder import DataFolder

KEPT_QUEUES = ("IntakeQueue", "CallbackQueue")
"""The template's queues whose messages are kept: what was accepted and has no record yet, and what is yet to be told.

The messages of all others are made again from objects and records.
"""


def bring_back(folder: DataFolder, host: Host, deployment: Deployment, tell: Callable[[str], None]) -> None:
    """Load the folder, write every change through from now on, and go on with unfinished batches. Raises NotKept."""
    from batchmill.local.keeping.keeper import Keeper  # not at import: it imports moto, whose switches must be set

    urls = [deployment.resources[name] for name in KEPT_QUEUES if name in deployment.resources]
    keeper = Keeper(folder, [url.rsplit("/", 1)[-1] for url in urls])
    count = keeper.load()
    host.router.keep(keeper)
    tell(f"kept in {folder.path}: {count} objects and records came back")
    unfinished = continue_batches(host, deployment)
    if unfinished:
        tell(f"going on with {len(unfinished)} unfinished: {', '.join(unfinished[:3])}{', …' * (len(unfinished) > 3)}")
