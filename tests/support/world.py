"""The protocol in memory: the real steps over hand-written fakes, with every delivery in the test's hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from batchmill.adapters import zstd
from batchmill.adapters.jinja import JinjaTemplates
from batchmill.adapters.json_schema import JsonSchemas
from batchmill.adapters.parquet import ParquetTables
from batchmill.contracts.callback import CallbackMessage
from batchmill.contracts.pools import Pool
from batchmill.contracts.workflow import AdmitInput, AdmitOutput, RunInput
from batchmill.domain import ids
from batchmill.domain.places import InputPlaces
from batchmill.domain.request import Outcome
from batchmill.ports.objects import ObjectInfo
from batchmill.steps.admit import Admit
from batchmill.steps.api import Api, Places
from batchmill.steps.batch.accepting import Accepting
from batchmill.steps.callbacks.outbox import Outbox
from batchmill.steps.cancel import Cancel
from batchmill.steps.close import Close
from batchmill.steps.complete import Complete
from batchmill.steps.dispatch import Dispatch
from batchmill.steps.intake import Intake
from batchmill.steps.land import Land
from batchmill.steps.pause import Pause
from batchmill.steps.plan import Plan
from batchmill.steps.resume import Resume
from batchmill.steps.shard.answering import Answering
from batchmill.steps.shard.documents import Documents
from batchmill.steps.shard.releasing import Releasing
from batchmill.steps.shard.sending import Sending
from batchmill.steps.sweep import Sweep
from fakes.batches import MemoryBatches
from fakes.capacity import MemoryCapacity
from fakes.clock import FakeClock
from fakes.functions import MemoryFunctions
from fakes.objects import MemoryObjects
from fakes.parts import JsonParts
from fakes.queue import MemoryQueue
from fakes.workflow import MemoryWorkflow

INPUT, DATA, OTHER, QUEUE = "input", "data", "other", "https://queue/default"
CALLBACKS, INTAKE = "https://queue/callbacks", "https://queue/intake"
LEASE = 30.0
PROFILE = b"endpoint: /v1/embeddings\ninput: '{{ text }}'\ncompletion_window: 1h\n"


@dataclass
class World:
    """One deployment. `events` are S3's Object Created events of the data bucket's parts, yet to be delivered."""

    shard_rows: int = 2
    clock: FakeClock = field(default_factory=FakeClock)
    batches: MemoryBatches = field(default_factory=MemoryBatches)
    workflow: MemoryWorkflow = field(default_factory=MemoryWorkflow)
    parts: JsonParts = field(default_factory=JsonParts)
    events: list[str] = field(default_factory=list)
    parts_written: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.objects = MemoryObjects(versioned=frozenset({INPUT}), on_created=self._created)
        self.queue = MemoryQueue(self.clock)
        self.templates, self.schemas = JinjaTemplates(), JsonSchemas()
        self.pools = {"default": Pool(queue_url=QUEUE, model="m", cluster="pools", service="default")}
        self.capacity = MemoryCapacity({("pools", "default"): 0})
        answering = Answering(self.batches, self.workflow, self.clock)
        o, b, c = self.objects, self.batches, self.clock
        outbox = Outbox(b, self.queue, CALLBACKS)
        places = InputPlaces(INPUT, DATA, (OTHER,))
        accepting = Accepting(b, self.templates, self.schemas, c, self.pools, places)
        self.intake = Intake(o, b, self.workflow, accepting, c, DATA, outbox)
        tables = ParquetTables(o)
        self.plan = Plan(
            objects=o,
            batches=b,
            templates=self.templates,
            schemas=self.schemas,
            tables=tables,
            zstd=zstd.unpacked,
            clock=c,
            places=places,
            pools=self.pools,
            shard_rows=self.shard_rows,
            seconds=720.0,
        )
        self.admit = Admit(b, c, 10)
        self.sending = Sending(b, self.queue, self.capacity, c, self.pools)
        self.dispatch = Dispatch(o, b, self.sending, answering, c, DATA)
        self.resume = Resume(o, b, answering, c, DATA)
        releasing = Releasing(self.sending, answering)
        self.sweep = Sweep(o, b, answering, releasing, c, DATA, LEASE)
        self.pause = Pause(b, releasing, c)
        self.cancel = Cancel(b, answering, c)
        self.close = Close(o, b, c, DATA, LEASE)
        self.land = Land(o, tables, b, self.parts, answering, DATA)
        self.complete = Complete(o, b, c, DATA, outbox)
        self.functions = MemoryFunctions()
        self.api = Api(o, accepting, self.queue, self.functions, c, Places(DATA, INTAKE, "cancel", "pause"))

    def drop(self, body: bytes, key: str = "embed/rows.jsonl", profile: bytes | None = PROFILE) -> str:
        """Put a file into the input bucket, and its event through intake; the batch's id."""
        if profile is not None:
            self.objects.put(DATA, f"profiles/{key.split('/')[0]}.yaml", profile)
        self.objects.put(INPUT, key, body)
        event = object_created(self.objects.head(INPUT, key))
        self.intake(event)
        detail = json.loads(event)["detail"]["object"]
        return ids.batch_id(ids.object_key(INPUT, key, detail["version-id"]))

    def planned(self, batch_id: str, run: int = 0) -> AdmitInput:
        """Plan, in as many calls as that takes."""
        while (made := self.plan(RunInput(batch_id=batch_id, run=run))).shards is None:
            assert not made.done
        return AdmitInput(batch_id=batch_id, run=run, shards=made.shards)

    def open(self, batch_id: str, run: int = 0) -> AdmitOutput:
        """Plan and admit."""
        return self.admit(self.planned(batch_id, run))

    def documents(self, batch_id: str, run: int = 0) -> Documents:
        """The run's documents."""
        return Documents(self.objects, DATA, batch_id, run)

    def callbacks(self) -> list[CallbackMessage]:
        """The messages of the outbox."""
        return [CallbackMessage.model_validate_json(one.body) for one in self.queue.messages.get(CALLBACKS, [])]

    def results(self, batch_id: str, run: int = 0) -> list[Outcome]:
        """Every row of every part, in the order of shards and rows."""
        keys = [info.key for info in self.objects.list(DATA, ids.results_prefix(batch_id, run))]
        return [row for key in keys for row in self.parts.decode(self.objects.get(DATA, key))]

    def _created(self, info: ObjectInfo) -> None:
        if info.bucket == DATA and ids.parse_part_key(info.key):
            self.parts_written.append(info.key)
            self.events.append(object_created(info))


def object_created(info: ObjectInfo) -> str:
    """S3's Object Created for an object, as EventBridge brings it."""
    item = {"key": info.key, "size": info.size, "etag": info.etag, "sequencer": "0"}
    if info.version_id:
        item["version-id"] = info.version_id
    detail = {"version": "0", "bucket": {"name": info.bucket}, "object": item, "reason": "PutObject"}
    return json.dumps({"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail": detail})


def execution_ended(name: str, payload: object, status: str = "ABORTED") -> str:
    """Step Functions' Execution Status Change, as EventBridge brings it."""
    detail = {"name": name, "status": status, "input": json.dumps(payload)}
    kind = "Step Functions Execution Status Change"
    return json.dumps({"version": "0", "source": "aws.states", "detail-type": kind, "detail": detail})


def jsonl(rows: int) -> bytes:
    """Rows {"text": "t<i>"}."""
    return b"".join(b'{"text": "t%d"}\n' % i for i in range(rows))
