"""A caller of a running stack's API."""

from __future__ import annotations

from typing import Any

import requests

from batchmill.local.kinds.storage import read_secret
from support.deployed import Deployed, rows_jsonl


class Client:
    """A caller with the stack's key."""

    def __init__(self, stack: Deployed) -> None:
        self.stack = stack
        self.base = stack.outputs["OpenAiBaseUrl"]
        self.key = read_secret(stack.stack.client("secretsmanager"), stack.outputs["ApiKeySecretArn"])

    def ask(self, method: str, path: str, key: str | None = "", **more: Any) -> requests.Response:
        token = self.key if key == "" else key
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
        return requests.request(method, self.base + path, headers=headers, timeout=40, **more)

    def put(self, name: str, rows: int) -> str:
        """An input where no profile makes a batch of it; its URI."""
        self.stack.s3.put_object(Bucket=self.stack.input, Key=f"api/{name}.jsonl", Body=rows_jsonl(rows, name))
        return f"s3://{self.stack.input}/api/{name}.jsonl"

    def body(self, uri: str, **more: Any) -> dict[str, Any]:
        plain = {"input_file_id": uri, "endpoint": "/v1/embeddings", "completion_window": "24h"}
        return {**plain, "input": "{{ text }}", "columns": ["id"], **more}

    def stored(self) -> int:
        """How many batches there are."""
        return len(self.stack.batches.recent(1000))
