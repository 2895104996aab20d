"""The pure core: what a batch, a shard, a request and an outcome are. Standard library only."""
