"""moto's secrets, written through to a file of the data folder that only its owner may read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from batchmill.local.keeping.folder import DataFolder, DataFolderUnusable

FILE = "secrets.json"
"""Names to texts. A file of its own: its mode is 0600, whoever may read the rest."""


def kept_secrets(folder: DataFolder) -> dict[str, str]:
    """The texts of a past life's secrets, by name. Raises DataFolderUnusable for a file that holds none."""
    text = folder.read_private(FILE)
    try:
        found = json.loads(text or "{}")
        return {str(name): str(value) for name, value in found.items()}
    except (ValueError, AttributeError):
        raise DataFolderUnusable(f"{folder.path / FILE}: is damaged: remove it, and secrets are made anew") from None


class KeptSecrets:
    """The secrets that moto's `backend` has now. Used under the lock of Secrets Manager's front."""

    def __init__(self, folder: DataFolder, backend: Any) -> None:
        self._folder, self._secrets = folder, backend.secrets
        self._names = [secret.name for secret in backend.secrets.values()]
        self._kept: Mapping[str, str] | None = None

    def save(self) -> None:
        """Keep what they are now, where that has changed. Raises NotKept; then it is tried again at the next call."""
        now = {name: text for name in self._names if (text := self._text(name)) is not None}
        if now != self._kept:
            self._folder.write_private(FILE, json.dumps(now))
            self._kept = now

    def _text(self, name: str) -> str | None:
        """None for one that was deleted, or has no text."""
        secret = self._secrets.get(name)
        version = secret.versions.get(secret.default_version_id) if secret else None
        text = version.get("secret_string") if version else None
        return str(text) if text is not None else None
