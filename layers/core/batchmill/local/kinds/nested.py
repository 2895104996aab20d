"""CloudFormation in CloudFormation: nested stacks, from local templates."""

from __future__ import annotations

from batchmill.local.host import Wanted
from batchmill.local.intrinsics import Made, text


def stack(wanted: Wanted) -> Made:
    """AWS::CloudFormation::Stack, deployed like its parent."""
    parameters = {
        name: ",".join(text(item) for item in value) if isinstance(value, list) else text(value)
        for name, value in wanted.get("Parameters", {}).items()
    }
    path = wanted.template.local_path(wanted.need("TemplateURL"))
    deployment = wanted.nested(path, parameters, wanted.logical_id)
    outputs = {f"Outputs.{name}": value for name, value in deployment.outputs.items()}
    return Made(deployment.stack_id, outputs)
