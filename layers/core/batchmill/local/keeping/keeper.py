"""What ties a data folder to the services: everything comes back, and from then on every change is written through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import sqs_backends

from batchmill.local import bus, sqs_front
from batchmill.local.account import ACCOUNT, REGION
from batchmill.local.keeping.folder import DataFolder
from batchmill.local.keeping.items import KeptItems
from batchmill.local.keeping.messages import KeptMessages
from batchmill.local.keeping.objects import KeptObjects
from batchmill.local.keeping.secrets import KeptSecrets

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Keeper:
    """A `Durability` over a data folder, for every bucket, table and secret that moto has now, and the queues named.

    The secrets were made with what the folder holds: the functions that read them are there before all else comes back.
    """

    def __init__(self, folder: DataFolder, queues: Iterable[str] = ()) -> None:
        self._folder = folder
        tables = dynamodb_backends[ACCOUNT][REGION].tables
        self._objects = KeptObjects(folder, s3_backends[ACCOUNT]["aws"])
        self._items = KeptItems(folder, tables, tables)
        self._secrets = KeptSecrets(folder, secretsmanager_backends[ACCOUNT][REGION])
        waiting = sqs_backends[ACCOUNT][REGION].queues
        self._messages = [KeptMessages(folder, waiting[name], sqs_front.lock) for name in queues]

    def load(self) -> int:
        """Put back all that the folder holds, and publish what was yet to be; how many objects, items and messages."""
        self._secrets.save()
        count = self._objects.load() + self._items.load()
        count += sum(queue.load(partial(bus.send_to_queue, queue.name)) for queue in self._messages)
        for event in self._folder.events():
            bus.publish(event)
            self.events_published([event])
        return count

    def objects_changed(self, events: Sequence[dict[str, Any]]) -> None:
        """Keep what a request to S3 changed. Raises NotKept."""
        self._objects.save(events)

    def events_published(self, events: Sequence[dict[str, Any]]) -> None:
        """Forget events, once the messages they became are kept. Raises NotKept."""
        if not events:
            return
        self.messages_changed()
        with self._folder.changes() as changes:
            for event in events:
                changes.drop_event(event["id"])

    def items_changed(self, environ: WSGIEnvironment) -> None:
        """Keep what a request to DynamoDB changed. Raises NotKept."""
        self._items.save(environ)

    def messages_changed(self) -> None:
        """Keep what a request to SQS changed. Raises NotKept."""
        for queue in self._messages:
            queue.save()

    def secrets_changed(self) -> None:
        """Keep what a request to Secrets Manager changed. Raises NotKept."""
        self._secrets.save()
