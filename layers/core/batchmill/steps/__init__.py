"""The data flow, one module a step."""
