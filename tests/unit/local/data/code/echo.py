"""A handler for the deployer's tests: keeps its event in the table, and answers with it and what it can import."""

from __future__ import annotations

import importlib
import json
import os
import uuid
from typing import Any

import boto3


def handler(event: Any, _context: Any) -> dict[str, Any]:
    table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
    table.put_item(Item={"pk": "EVENT", "sk": uuid.uuid4().hex, "event": json.dumps(event)})
    if "Records" in event and "eventSource" in event["Records"][0]:
        bad = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
        return {"batchItemFailures": [{"itemIdentifier": name} for name in bad]}
    return {"event": event, "greeting": os.environ["GREETING"], "arrow": _has("pyarrow")}


def _has(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True
