"""A SAM template on disk, as the plain CloudFormation that the deployer works on.

The translator only takes remote code (`s3://…`), so every local folder or file is given to it as a
placeholder address under a bucket that does not exist, and `local_path` maps what comes out of it back.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml
from samtranslator.model.exceptions import ExceptionWithMessage, InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from batchmill.local.intrinsics import TemplateError
from batchmill.local.moto_app import REGION

PLACEHOLDER_BUCKET = "batchmill-local"

# Property of each SAM type that names a local folder or file, and the scheme the translator wants it in.
_LOCAL = {
    "AWS::Serverless::Function": ("CodeUri", "s3"),
    "AWS::Serverless::LayerVersion": ("ContentUri", "s3"),
    "AWS::Serverless::StateMachine": ("DefinitionUri", "s3"),
    "AWS::Serverless::Application": ("Location", "https"),
}
_GLOBALS = {"Function": "CodeUri", "LayerVersion": "ContentUri"}


@dataclass(frozen=True)
class Template:
    """A CloudFormation template (no SAM in it) and the folder that its local addresses are relative to."""

    body: Mapping[str, Any]
    folder: Path

    def section(self, name: str) -> dict[str, Any]:
        """A top-level section, such as `Resources`; empty where the template has none."""
        return dict(self.body.get(name) or {})

    def local_path(self, address: str) -> Path:
        """The local folder or file behind an address that `translate` put in.

        Raises TemplateError for any other address.
        """
        for prefix in (f"https://{PLACEHOLDER_BUCKET}/", f"s3://{PLACEHOLDER_BUCKET}/"):
            if address.startswith(prefix):
                return self._inside(address.removeprefix(prefix))
        raise TemplateError(f"{address} is not on this machine: the embedded stack runs local sources only")

    def code_path(self, location: Mapping[str, Any], bucket: str = "S3Bucket", key: str = "S3Key") -> Path:
        """The local folder or file of a placeholder bucket and key, whatever the type calls the two."""
        return self.local_path(f"s3://{location.get(bucket)}/{location.get(key)}")

    def _inside(self, relative: str) -> Path:
        path = (self.folder / relative).resolve()
        if not path.exists():
            raise TemplateError(f"the template names {relative}, which is not in {self.folder}")
        return path


def read_template(path: Path) -> dict[str, Any]:
    """The template as written, with short forms (`!Ref`) as their long ones.

    Raises TemplateError where the file is missing, is no YAML, or has no resources.
    """
    try:
        # A subclass of SafeLoader: it makes plain data only.
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())
    except (OSError, yaml.YAMLError) as error:
        raise TemplateError(f"{path} cannot be read as a template: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise TemplateError(f"{path} is no template: it has no Resources")
    return document


def translate(path: Path, parameters: Mapping[str, Any]) -> Template:
    """The template with every SAM resource turned into CloudFormation's; works offline.

    Raises TemplateError with the translator's own words where it refuses the template.
    """
    document = read_template(path)
    _put_placeholders(document)
    # It warns of metrics that nobody published; its errors are raised, not logged.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    # A region is all that the translator takes from the session; no call is made.
    translator = Translator(None, Parser(), boto_session=boto3.Session(region_name=REGION))
    try:
        body = translator.translate(document, dict(parameters), get_managed_policy_map=_managed_policies)
    except InvalidDocumentException as error:
        reasons = "; ".join(cause.message for cause in error.causes)
        raise TemplateError(f"{path.name} is not a valid SAM template: {reasons}") from error
    except ExceptionWithMessage as error:
        raise TemplateError(f"{path.name} is not a valid SAM template: {error.message}") from error
    return Template(body, path.resolve().parent)


def _put_placeholders(document: dict[str, Any]) -> None:
    for section, name in _GLOBALS.items():
        properties = (document.get("Globals") or {}).get(section) or {}
        if name in properties:
            properties[name] = _placeholder(f"Globals.{section}", name, properties[name], "s3")
    for logical_id, resource in document["Resources"].items():
        name, scheme = _LOCAL.get(resource.get("Type", ""), ("", ""))
        properties = resource.get("Properties") or {}
        if name in properties:
            properties[name] = _placeholder(logical_id, name, properties[name], scheme)


def _placeholder(owner: str, name: str, value: Any, scheme: str) -> str:
    if not isinstance(value, str) or "://" in value:
        raise TemplateError(f"{owner}: {name} must be a local path, not {value!r}")
    return f"{scheme}://{PLACEHOLDER_BUCKET}/{value}"


def _managed_policies() -> dict[str, str]:
    """No policy needs its ARN here (roles have no effect): the translator's own list is a network call."""
    return {}


@cache
def _loader() -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        """SafeLoader with CloudFormation's short forms; its own class, so that no other reader changes."""

    Loader.add_multi_constructor("!", _short_form)
    # A date such as 2010-09-09 (the format version, a policy's version) must stay a string.
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}
