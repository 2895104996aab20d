"""What a deployed stack says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from batchmill.domain.errors import UserError
from batchmill.domain.places import InputPlaces


@dataclass(frozen=True)
class StackOutputs:
    """What a stack says of itself."""

    input_bucket: str
    data_bucket: str
    intake_queue_url: str
    table: str
    state_machine_arn: str
    cancel_function: str
    pause_function: str
    readable_buckets: tuple[str, ...] = field(default=(), kw_only=True)

    @classmethod
    def read(cls, outputs: Mapping[str, str], stack_name: str) -> StackOutputs:
        """From a stack's outputs by name. Raises UserError for a stack that is not batchmill's."""
        places = ("InputBucket", "DataBucket", "IntakeQueueUrl", "TableName")
        names = (*places, "StateMachineArn", "CancelFunctionName", "PauseFunctionName")
        missing = [name for name in names if name not in outputs]
        if missing:
            raise UserError(f"stack {stack_name} has no output {', '.join(missing)}: is it a batchmill stack?")
        others = tuple(filter(None, outputs.get("OtherBuckets", "").split(",")))
        return cls(*(outputs[name] for name in names), readable_buckets=others)

    @property
    def places(self) -> InputPlaces:
        """Where inputs may lie."""
        return InputPlaces(self.input_bucket, self.data_bucket, self.readable_buckets)
