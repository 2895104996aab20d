"""Deploys a template onto the embedded services, as CloudFormation would: the template is the only wiring."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from batchmill.local import resources
from batchmill.local.conditions import check_rules, evaluate
from batchmill.local.host import Deployment, Host, Wanted, physical_name
from batchmill.local.intrinsics import Made, Scope, TemplateError, order, prune, pseudo_parameters, resolve, text
from batchmill.local.moto_app import ACCOUNT, REGION
from batchmill.local.parameters import settle
from batchmill.local.translate import translate

LOG = logging.getLogger(__name__)

_STACK_NAME_LIMIT = 128


def deploy(template: Path, parameters: Mapping[str, str], host: Host, name: str = "batchmill") -> Deployment:
    """Makes every resource of a SAM or CloudFormation template, in dependency order, nested stacks included.

    Pollers, schedules and services are left on the host for the stack to start.
    Raises TemplateError, naming the resource, for whatever cannot be made here.
    """
    inert: Counter[str] = Counter()
    deployment = _Deployer(template, parameters, host, name, inert).run()
    host.stacks[name] = replace(deployment, notes=[*deployment.notes, *_inert_notes(inert)])
    return host.stacks[name]


def _inert_notes(inert: Mapping[str, int]) -> list[str]:
    """A line for each reason: what has no effect for it, by type."""
    by_reason: dict[str, list[str]] = {}
    for kind, count in sorted(inert.items()):
        by_reason.setdefault(resources.KINDS[kind].why, []).append(f"{kind.removeprefix('AWS::')} ({count})")
    return [f"{reason}: {', '.join(kinds)}" for reason, kinds in sorted(by_reason.items())]


class _Deployer:
    """One stack on its way. `inert` counts, over all nested stacks, what has no effect."""

    def __init__(
        self, template: Path, parameters: Mapping[str, str], host: Host, name: str, inert: Counter[str]
    ) -> None:
        self._host, self._name, self._inert = host, name, inert
        self._stack_id = (
            f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{uuid.uuid5(uuid.NAMESPACE_URL, name)}"
        )
        self._template = translate(template, parameters)
        self._parameters = settle(self._template.section("Parameters"), parameters)
        self._made: dict[str, Made] = {}
        self._physical: dict[str, str] = {}
        self._notes: list[str] = []
        pseudo = pseudo_parameters(name, self._stack_id, REGION, ACCOUNT)
        self._scope = Scope({**self._parameters, **pseudo}, self._template.section("Mappings"), self._made)
        check_rules(self._template.section("Rules"), self._scope)
        self._conditions = evaluate(self._template.section("Conditions"), self._scope)

    def run(self) -> Deployment:
        """Makes the resources; returns the stack, which the host then knows."""
        wanted = self._present("Resources")
        for logical_id, resource in wanted.items():
            resources.kind_of(logical_id, resource["Type"])
        for logical_id in order(wanted):
            self._made[logical_id] = self._make(logical_id, wanted[logical_id])
            self._physical[logical_id] = self._made[logical_id].ref
            LOG.debug("%s: %s is %s", self._name, logical_id, self._made[logical_id].ref)
        deployment = Deployment(
            name=self._name,
            stack_id=self._stack_id,
            parameters={name: _joined(value) for name, value in self._parameters.items()},
            outputs=self._outputs(),
            resources=self._physical,
            notes=self._notes,
        )
        self._host.stacks[self._name] = deployment
        return deployment

    def _present(self, section: str) -> dict[str, Any]:
        """The entries of a section whose condition holds, without any Fn::If."""
        entries = self._template.section(section)
        return {
            name: prune({key: value for key, value in entry.items() if key != "Condition"}, self._conditions)
            for name, entry in entries.items()
            if self._holds(name, entry.get("Condition"))
        }

    def _holds(self, name: str, condition: str | None) -> bool:
        if condition is not None and condition not in self._conditions:
            raise TemplateError(f"{name}: the template has no condition {condition}")
        return condition is None or self._conditions[condition]

    def _make(self, logical_id: str, resource: Mapping[str, Any]) -> Made:
        resource_type = resource["Type"]
        kind = resources.kind_of(logical_id, resource_type)
        if kind.how == "inert":
            self._inert[resource_type] += 1
        try:
            return kind.make(
                Wanted(
                    logical_id=logical_id,
                    type=resource_type,
                    properties=resolve(resource.get("Properties", {}), self._scope),
                    stack=self._name,
                    template=self._template,
                    host=self._host,
                    nested=self._nested,
                    notes=self._notes,
                )
            )
        except (TemplateError, ClientError, BotoCoreError, ValueError) as error:
            raise TemplateError(f"{logical_id} ({resource_type}): {error}") from error
        except KeyError as error:
            raise TemplateError(f"{logical_id} ({resource_type}): {error} is missing") from error

    def _nested(self, path: Path, parameters: Mapping[str, str], logical_id: str) -> Deployment:
        name = physical_name(self._name, logical_id, _STACK_NAME_LIMIT)
        deployment = _Deployer(path, parameters, self._host, name, self._inert).run()
        self._notes.extend(deployment.notes)
        self._physical.update({f"{logical_id}/{key}": ref for key, ref in deployment.resources.items()})
        return deployment

    def _outputs(self) -> dict[str, str]:
        outputs: dict[str, str] = {}
        for name, output in self._present("Outputs").items():
            try:
                value = _joined(resolve(output["Value"], self._scope))
                outputs[name] = self._host.rest.localized(value)
            except TemplateError as error:
                raise TemplateError(f"the output {name}: {error}") from error
        return outputs


def _joined(value: Any) -> str:
    return ",".join(text(item) for item in value) if isinstance(value, list) else text(value)
