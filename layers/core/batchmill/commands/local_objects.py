"""Files of this machine read as the steps read objects, beside real ones of S3."""

from __future__ import annotations

from collections.abc import Callable

from batchmill.ports.objects import Objects

FILES = ""
"""The bucket that files lie in: the key is the path."""

HELD = "held"
"""The bucket of what is held in memory. (It is no bucket of S3's.)"""


class LocalObjects:
    """What reading needs of `ports.objects.Objects`. `remote` makes the real ones, when the first is asked for."""

    def __init__(self, remote: Callable[[], Objects]) -> None:
        self._make, self._remote = remote, None
        self.held: dict[str, bytes] = {}
