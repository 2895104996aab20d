"""Refuses to import the modules that BATCHMILL_BLOCKED_MODULES names (comma-separated).

Functions run on this machine's Python, where every layer's packages are at hand. One without a layer gets this
folder on its import path, so that what is missing on AWS is missing here. Python imports this file by itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType


class Refusal(MetaPathFinder):
    """Finds nothing, and lets nobody else find the blocked modules."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        """Raises ModuleNotFoundError for a blocked module, as if it were not installed."""
        if fullname.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {fullname!r} (no layer of this function has it)", name=fullname)


# The environment is read at import, which is all that this file has: it runs before any code of the function.
sys.meta_path.insert(0, Refusal(frozenset(filter(None, os.environ.get("BATCHMILL_BLOCKED_MODULES", "").split(",")))))
