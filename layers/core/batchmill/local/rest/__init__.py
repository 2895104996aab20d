"""API Gateway (REST APIs) in the embedded stack."""
