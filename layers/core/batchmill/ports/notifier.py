"""Telling somebody of a final batch, by one channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from batchmill.contracts.callback import CallbackData


@dataclass(frozen=True)
class Callback:
    """What is told, and where to where the channel is a webhook. The URL may hold secrets: it is never logged."""

    data: CallbackData
    webhook_url: str | None = None


class Notifier(Protocol):
    """One channel."""

    def deliver(self, callback: Callback) -> None:
        """Tell it once; the receiver may hear it again after a lost answer.

        Raises Transient where trying again may help, WebhookRefused where it must not be tried again.
        """
        ...
