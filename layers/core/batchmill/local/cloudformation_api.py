"""CloudFormation's DescribeStacks (query protocol) over what was deployed here.

With it a local stack is found as a deployed one is: by its name, through its outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from xml.etree import ElementTree

from batchmill.local.host import Deployment

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
_REQUEST_ID = "00000000-0000-0000-0000-000000000000"


class CloudFormationApi:
    """A WSGI application, to be mounted as `cloudformation`. `stacks` is by name, and may still grow."""

    def __init__(self, stacks: Mapping[str, Deployment]) -> None:
        self._stacks = stacks
        self._created = datetime.now(UTC).isoformat(timespec="milliseconds")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The application itself."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        request = {key: values[0] for key, values in parse_qs(body or environ.get("QUERY_STRING", "")).items()}
        if request.get("Action") != "DescribeStacks":
            message = f"the embedded stack's CloudFormation has no {request.get('Action', 'such action')}"
            return _answer(start_response, "400 Bad Request", _error("InvalidAction", message))
        name = request.get("StackName")
        found = [stack for stack in self._stacks.values() if name in (None, stack.name, stack.stack_id)]
        if name is not None and not found:
            error = _error("ValidationError", f"Stack with id {name} does not exist")
            return _answer(start_response, "400 Bad Request", error)
        return _answer(start_response, "200 OK", self._described(found))

    def _described(self, stacks: list[Deployment]) -> ElementTree.Element:
        root = ElementTree.Element("DescribeStacksResponse", xmlns=_NAMESPACE)
        members = ElementTree.SubElement(ElementTree.SubElement(root, "DescribeStacksResult"), "Stacks")
        for stack in stacks:
            member = ElementTree.SubElement(members, "member")
            _texts(
                member,
                StackName=stack.name,
                StackId=stack.stack_id,
                CreationTime=self._created,
                StackStatus="CREATE_COMPLETE",
            )
            _pairs(member, "Outputs", "Output", stack.outputs)
            _pairs(member, "Parameters", "Parameter", stack.parameters)
        _texts(ElementTree.SubElement(root, "ResponseMetadata"), RequestId=_REQUEST_ID)
        return root


def _pairs(parent: ElementTree.Element, group: str, item: str, values: Mapping[str, str]) -> None:
    members = ElementTree.SubElement(parent, group)
    for name, value in values.items():
        pair = {f"{item}Key": name, f"{item}Value": value}
        _texts(ElementTree.SubElement(members, "member"), **pair)


def _texts(parent: ElementTree.Element, **values: str) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = value


def _error(code: str, message: str) -> ElementTree.Element:
    root = ElementTree.Element("ErrorResponse", xmlns=_NAMESPACE)
    _texts(ElementTree.SubElement(root, "Error"), Type="Sender", Code=code, Message=message)
    _texts(root, RequestId=_REQUEST_ID)
    return root


def _answer(start_response: StartResponse, status: str, root: ElementTree.Element) -> Iterable[bytes]:
    content = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    start_response(status, [("Content-Type", "text/xml"), ("Content-Length", str(len(content)))])
    return [content]
