"""The secrets port over Secrets Manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchmill.adapters.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


class ManagedSecrets:
    """Implements `ports.secrets.Secrets`."""

    def __init__(self, client: SecretsManagerClient) -> None:
        self._client = client

    def read(self, name: str) -> str:
        """The secret's text as it is now, by ARN or name. Raises Gone where there is none."""
        with translated(f"secret {name}"):
            return self._client.get_secret_value(SecretId=name)["SecretString"]
