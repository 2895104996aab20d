"""Batches that a stack of the past left unfinished: each gets an execution of its state machine again.

Executions, task tokens and the pools' messages are gone with the process that held them, and nothing else is: a
shard with a part is answered at its dispatch, any other is dispatched anew and starts from its checkpoints. The
records still hold the tokens of the dead; whoever answers one is told that it waits no longer, and a new dispatch
puts its own in the place of it.
"""

from __future__ import annotations

from typing import Literal

from batchmill.adapters.dynamodb import DynamoBatches
from batchmill.adapters.stepfunctions import StepFunctionsWorkflow
from batchmill.contracts.workflow import MachineInput
from batchmill.domain import ids
from batchmill.domain.batch import Batch, BatchStatus
from batchmill.local.host import Deployment, Host

_ALL = 1_000_000
_OPEN = frozenset({BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS})


def continue_batches(host: Host, deployment: Deployment) -> list[str]:
    """Start an execution for every batch that is not final, or has not told so; their ids, oldest first.

    None where the stack has no table of batches.
    """
    table, machine = deployment.outputs.get("TableName"), deployment.outputs.get("StateMachineArn")
    if table is None or machine is None:
        return []
    workflow = StepFunctionsWorkflow(host.client("stepfunctions"), machine)
    batches = DynamoBatches(host.client("dynamodb"), table).recent(_ALL)
    unfinished = [batch for batch in reversed(batches) if not (batch.final and batch.notified)]
    for batch in unfinished:
        told = MachineInput(batch_id=batch.batch_id, run=batch.run, entry=entry(batch))
        workflow.start(ids.execution_name(batch.batch_id, batch.run, batch.closings), told.model_dump())
    return [batch.batch_id for batch in unfinished]


def entry(batch: Batch) -> Literal["start", "close"]:
    """Where the execution of an unfinished batch begins.

    At the start where the batch is planned or running, since plan and admit change nothing that has been decided. At
    close where its ending has begun (which on a final batch only sends callbacks that were not sent), or where an
    execution of it had ended badly and another was to close it.
    """
    return "start" if batch.status in _OPEN and not batch.closings else "close"
