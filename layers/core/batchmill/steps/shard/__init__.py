"""How one shard is done: rows, rendering, judging answers, checkpoints, the commit. Used by several steps."""
