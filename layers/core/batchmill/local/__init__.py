"""The embedded stack: the AWS services batchmill uses, in one process; nothing that production imports."""
