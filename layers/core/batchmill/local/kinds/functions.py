"""Lambda: functions run from their source folders, with their layers' folders on the import path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from batchmill.local import blocking
from batchmill.local.function_spec import FunctionSpec, parse_reference
from batchmill.local.host import Wanted
from batchmill.local.intrinsics import Made, TemplateError, text
from batchmill.local.moto_app import ACCOUNT, REGION
from batchmill.local.pollers import QueueMapping, check_visibility
from batchmill.local.translate import Template

BLOCKED = "BATCHMILL_BLOCKED_MODULES"
_LAYER = "AWS::Lambda::LayerVersion"
_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)
_MAX_ENVIRONMENTS = 4
_CONCURRENCY = 4


def layer(wanted: Wanted) -> Made:
    """AWS::Lambda::LayerVersion: a folder. Its packages, if it lists any, come from this machine's Python."""
    name = wanted.name("LayerName", 64)
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{name}:1"
    wanted.host.layers[arn] = wanted.template.code_path(wanted.need("Content"))
    return Made(arn, {"Arn": arn, "LayerVersionArn": arn})


def function(wanted: Wanted) -> Made:
    """AWS::Lambda::Function from a folder."""
    name = wanted.name("FunctionName", 64)
    folders = _layer_folders(wanted)
    variables = {key: text(value) for key, value in wanted.get("Environment", {}).get("Variables", {}).items()}
    blocked = blocked_modules(wanted.template, folders)
    if blocked:
        variables[BLOCKED] = ",".join(sorted(blocked))
        folders = (*folders, Path(next(iter(blocking.__path__))))
    reserved = wanted.get("ReservedConcurrentExecutions")
    spec = FunctionSpec(
        name=name,
        handler=wanted.need("Handler"),
        code_dir=wanted.template.code_path(wanted.need("Code")),
        layer_dirs=folders,
        environment={**variables, **wanted.host.environment},
        timeout_seconds=int(wanted.get("Timeout", 3)),
        memory_mb=int(wanted.get("MemorySize", 128)),
        max_environments=min(int(reserved), _MAX_ENVIRONMENTS) if reserved is not None else _MAX_ENVIRONMENTS,
        dead_letter_arn=wanted.get("DeadLetterConfig", {}).get("TargetArn"),
    )
    return Made(name, {"Arn": wanted.host.functions.create(spec)})


def version(wanted: Wanted) -> Made:
    """AWS::Lambda::Version: there is one version of a function here, its source."""
    return Made(_function_arn(wanted), {"Version": "1", "FunctionArn": _function_arn(wanted)})


def alias(wanted: Wanted) -> Made:
    """AWS::Lambda::Alias: stands for the function itself."""
    return Made(_function_arn(wanted), {"AliasArn": _function_arn(wanted)})


def event_source_mapping(wanted: Wanted) -> Made:
    """AWS::Lambda::EventSourceMapping of an SQS queue."""
    arn = wanted.need("EventSourceArn")
    if not arn.startswith("arn:aws:sqs:"):
        raise TemplateError(f"the embedded stack polls SQS queues only, not {arn}")
    wanted.refuse("FilterCriteria")
    made = Made(wanted.name(limit=64))
    if text(wanted.get("Enabled", True)) == "false":
        wanted.notes.append(f"{wanted.logical_id}: the event source mapping is disabled")
        return made
    sqs, name = wanted.host.client("sqs"), parse_reference(wanted.need("FunctionName"))[0]
    mapping = QueueMapping(
        queue_url=sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[1])["QueueUrl"],
        queue_arn=arn,
        function_name=name,
        batch_size=int(wanted.get("BatchSize", 10)),
        window_seconds=int(wanted.get("MaximumBatchingWindowInSeconds", 0)),
        report_batch_item_failures="ReportBatchItemFailures" in wanted.get("FunctionResponseTypes", []),
    )
    check_visibility(sqs, mapping, wanted.host.functions.spec(name).timeout_seconds)
    concurrency = wanted.get("ScalingConfig", {}).get("MaximumConcurrency", _CONCURRENCY)
    wanted.host.mappings.append((mapping, min(int(concurrency), _CONCURRENCY)))
    return made


def blocked_modules(template: Template, attached: tuple[Path, ...]) -> set[str]:
    """The modules that a function must not find: those of the template's layers that it does not have.

    A layer's modules are read from its requirements.txt, taking a distribution's name for its module's.
    """
    resources: list[Any] = list(template.section("Resources").values())
    layers = [
        template.code_path(resource["Properties"]["Content"]) for resource in resources if resource["Type"] == _LAYER
    ]
    there = {name for folder in attached for name in _requirements(folder)}
    return {name for folder in layers if folder not in attached for name in _requirements(folder)} - there


def _requirements(folder: Path) -> set[str]:
    path = folder / "requirements.txt"
    if not path.is_file():
        return set()
    names: list[str] = _REQUIREMENT.findall(path.read_text(encoding="utf-8"))
    return {name.lower().replace("-", "_") for name in names}


def _layer_folders(wanted: Wanted) -> tuple[Path, ...]:
    folders = []
    for arn in wanted.get("Layers", []):
        if arn in wanted.host.layers:
            folders.append(wanted.host.layers[arn])
        else:
            wanted.notes.append(f"{wanted.logical_id}: the layer {arn} is not here; this machine's Python stands in")
    return tuple(dict.fromkeys(folders))


def _function_arn(wanted: Wanted) -> str:
    return wanted.host.functions.spec(wanted.need("FunctionName")).arn
