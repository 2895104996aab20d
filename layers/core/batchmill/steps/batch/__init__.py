"""What several steps do with a whole batch."""
