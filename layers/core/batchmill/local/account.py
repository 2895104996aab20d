"""The account and region that everything in the embedded stack belongs to."""

ACCOUNT = "123456789012"
REGION = "us-east-1"
