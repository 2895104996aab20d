"""What the inputs' beginnings tell of a batch: its plan, without the objects and their shards."""

from __future__ import annotations

from collections.abc import Sequence

from batchmill.contracts.plan import PlanDocument
from batchmill.contracts.pools import UNKNOWN_MODEL, Pool
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import FirstRowsFailed, InputInvalid
from batchmill.ports.objects import ObjectInfo
from batchmill.steps.planning.looking import Looked
from batchmill.steps.shard.bodies import template_sha256
from batchmill.steps.shard.fingerprint import fingerprint


def described(
    batch_id: str, run: int, spec: BatchSpec, pool: Pool, looked: Looked, found: Sequence[ObjectInfo]
) -> PlanDocument:
    """The plan as far as it goes.

    Raises InputInvalid for columns that the inputs have not; FirstRowsFailed for lines that ask for another model.
    """
    head = looked.head
    columns = head.columns if spec.columns is None else tuple(spec.columns)
    if head.header and (unknown := [name for name in columns if name not in head.header]):
        raise InputInvalid(f"columns: {', '.join(unknown)} not among the header's: {', '.join(head.header)}")
    served = pool.model if pool.model != UNKNOWN_MODEL else ""
    if head.model and served and head.model != served and spec.model is None:
        first = found[next(iter(looked.samples))]
        raise FirstRowsFailed(
            "model_not_found",
            f"s3://{first.bucket}/{first.key}: its lines ask for model {head.model}, "
            f"pool {spec.pool!r} serves {served}",
        )
    return PlanDocument(
        batch_id=batch_id,
        run=run,
        spec=spec,
        format=head.format,
        objects=(),
        columns=columns,
        header=head.header,
        delimiter=head.delimiter,
        header_line=spec.csv.names is None,
        shards=0,
        rows_estimated=0,
        model=spec.model or head.model or pool.model,
        fingerprint=fingerprint(spec, pool, head.format, columns),
        template_sha256=template_sha256(spec),
    )
