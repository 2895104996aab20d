"""What is told of a final batch, and the outbox that it leaves by."""
