from __future__ import annotations

import pytest

from batchmill.contracts.outputs import StackOutputs
from batchmill.domain.errors import UserError


def test_the_buckets_beside_its_own_are_those_that_the_stack_tells_of() -> None:
    told = dict.fromkeys(
        ("InputBucket", "DataBucket", "IntakeQueueUrl", "TableName", "StateMachineArn", "CancelFunctionName"), "x"
    )
    told["PauseFunctionName"] = "x"
    assert StackOutputs.read(told, "s").places.others == ()
    assert StackOutputs.read({**told, "OtherBuckets": "a,b"}, "s").places.others == ("a", "b")


def test_a_stack_without_the_outputs_is_not_taken_for_batchmills() -> None:
    with pytest.raises(UserError, match=r"no output DataBucket.*is it a batchmill stack"):
        StackOutputs.read({"InputBucket": "x"}, "other")
