"""S3, DynamoDB, Secrets Manager and KMS: made in moto."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from botocore.exceptions import ClientError
from moto.utilities.id_generator import TAG_KEY_CUSTOM_ID

from batchmill.local.host import Wanted
from batchmill.local.intrinsics import Made, TemplateError
from batchmill.local.moto_app import REGION

_TABLE_PROPERTIES = (
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "ProvisionedThroughput",
)
_NOT_EVENTBRIDGE = ("LambdaConfigurations", "QueueConfigurations", "TopicConfigurations")


def bucket(wanted: Wanted) -> Made:
    """AWS::S3::Bucket: versioning, EventBridge notification and CORS are applied."""
    s3, name = wanted.host.client("s3"), wanted.name("BucketName", 63, lower=True)
    s3.create_bucket(Bucket=name)
    versioning = wanted.get("VersioningConfiguration", {})
    if versioning.get("Status"):
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning["Status"]})
    notification = wanted.get("NotificationConfiguration", {})
    if any(notification.get(kind) for kind in _NOT_EVENTBRIDGE):
        raise TemplateError("a bucket's notifications go through EventBridge in the embedded stack")
    if "EventBridgeConfiguration" in notification:
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    if "CorsConfiguration" in wanted.properties:
        rules = [_cors_rule(rule) for rule in wanted.get("CorsConfiguration")["CorsRules"]]
        s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": rules})
    return Made(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{REGION}.amazonaws.com",
        },
    )


def table(wanted: Wanted) -> Made:
    """AWS::DynamoDB::Table: keys, indexes, stream and time to live are applied."""
    dynamodb, name = wanted.host.client("dynamodb"), wanted.name("TableName", 255)
    properties = {key: wanted.properties[key] for key in _TABLE_PROPERTIES if key in wanted.properties}
    stream = wanted.get("StreamSpecification")
    if stream:
        properties["StreamSpecification"] = {"StreamEnabled": True, **stream}
    described = dynamodb.create_table(TableName=name, **_numbers(properties))["TableDescription"]
    expiry = wanted.get("TimeToLiveSpecification")
    if expiry:
        specification = {"AttributeName": expiry["AttributeName"], "Enabled": _truth(expiry["Enabled"])}
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)
    arns = {"Arn": described["TableArn"], "StreamArn": described.get("LatestStreamArn")}
    return Made(name, {key: arn for key, arn in arns.items() if arn})


def secret(wanted: Wanted) -> Made:
    """AWS::SecretsManager::Secret, with the string given, or one generated in this or a past life of the stack.

    Its ARN's suffix is made of its name: in the next life of the stack it is the same.
    """
    generate, name = wanted.get("GenerateSecretString"), wanted.name("Name", 256)
    value = wanted.get("SecretString") or ""
    if generate is not None:
        value = wanted.host.secrets.get(name) or _generated(generate)
    suffix = {"Key": TAG_KEY_CUSTOM_ID, "Value": hashlib.sha256(name.encode()).hexdigest()[:6]}
    arn = wanted.host.client("secretsmanager").create_secret(Name=name, SecretString=value, Tags=[suffix])["ARN"]
    return Made(arn, {"Id": arn})


def key(wanted: Wanted) -> Made:
    """AWS::KMS::Key."""
    made = wanted.host.client("kms").create_key(Description=wanted.get("Description", ""))["KeyMetadata"]
    return Made(made["KeyId"], {"Arn": made["Arn"], "KeyId": made["KeyId"]})


def key_alias(wanted: Wanted) -> Made:
    """AWS::KMS::Alias."""
    name = wanted.need("AliasName")
    wanted.host.client("kms").create_alias(AliasName=name, TargetKeyId=wanted.need("TargetKeyId"))
    return Made(name)


def read_secret(secretsmanager: Any, value_from: str) -> str:
    """The value behind a container's `ValueFrom`: a secret's ARN, or that with `:json-key:stage:version` after it.

    Raises TemplateError where there is no such secret, or it has no such key.
    """
    parts = value_from.split(":")
    arn, json_key = ":".join(parts[:7]), parts[7] if len(parts) > 7 else ""
    try:
        value: str = secretsmanager.get_secret_value(SecretId=arn)["SecretString"]
    except ClientError as error:
        raise TemplateError(f"the secret {arn} cannot be read: {error}") from error
    if not json_key:
        return value
    document = json.loads(value)
    if json_key not in document:
        raise TemplateError(f"the secret {arn} has no key {json_key}")
    return str(document[json_key])


def _generated(options: dict[str, Any]) -> str:
    password = secrets.token_hex(int(options.get("PasswordLength", 32)))[: int(options.get("PasswordLength", 32))]
    if "GenerateStringKey" not in options:
        return password
    return json.dumps({**json.loads(options.get("SecretStringTemplate", "{}")), options["GenerateStringKey"]: password})


def _cors_rule(rule: dict[str, Any]) -> dict[str, Any]:
    names = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds", "Id": "ID"}
    return {names.get(key, key): int(value) if key == "MaxAge" else value for key, value in rule.items()}


def _numbers(value: Any) -> Any:
    """Capacity units as numbers: a parameter makes them strings."""
    if isinstance(value, dict):
        return {key: int(item) if key.endswith("CapacityUnits") else _numbers(item) for key, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list) else value


def _truth(value: Any) -> bool:
    return str(value).lower() == "true"
