"""The commands of `batchmill`, one module a command. `batchmill.cli` assembles them."""
