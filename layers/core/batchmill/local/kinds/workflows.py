"""Step Functions: a state machine is made in moto, from the file that the template names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from batchmill.local.host import Wanted
from batchmill.local.intrinsics import Made, TemplateError, text

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_]+)\}")
# moto wants a role of the right shape; nothing is checked against it.
_ROLE = "arn:aws:iam::123456789012:role/local"


def state_machine(wanted: Wanted) -> Made:
    """AWS::StepFunctions::StateMachine, its definition's placeholders filled in."""
    name = wanted.name("StateMachineName", 80)
    definition = substitute(_definition(wanted), wanted.get("DefinitionSubstitutions", {}))
    try:
        json.loads(definition)
    except ValueError as error:
        raise TemplateError(f"the definition is no JSON: {error}") from error
    arn = wanted.host.client("stepfunctions").create_state_machine(
        name=name,
        definition=definition,
        roleArn=wanted.get("RoleArn", _ROLE),
        type=wanted.get("StateMachineType", "STANDARD"),
    )["stateMachineArn"]
    return Made(arn, {"Arn": arn, "Name": name, "StateMachineRevisionId": "INITIAL"})


def substitute(definition: str, values: Mapping[str, Any]) -> str:
    """The definition with each `${Name}` replaced. Raises TemplateError for one that has no value, or no use."""
    names = set(_PLACEHOLDER.findall(definition))
    for problem, found in (("have no value", names - set(values)), ("are not in the definition", set(values) - names)):
        if found:
            raise TemplateError(f"the substitutions {', '.join(sorted(found))} {problem}")
    return _PLACEHOLDER.sub(lambda match: text(values[match[1]]), definition)


def _definition(wanted: Wanted) -> str:
    if "DefinitionS3Location" in wanted.properties:
        location = wanted.need("DefinitionS3Location")
        return wanted.template.code_path(location, "Bucket", "Key").read_text(encoding="utf-8")
    if "DefinitionString" in wanted.properties:
        return text(wanted.need("DefinitionString"))
    return json.dumps(wanted.need("Definition"))
