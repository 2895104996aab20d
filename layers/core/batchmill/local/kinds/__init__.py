"""How the embedded stack makes each family of resource types."""
