"""A prefix cache as vLLM keeps one: whole blocks of tokens, each known by all that comes before it, least used out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence


class PrefixCache:
    """Counts how many leading tokens of each prompt were computed before; holds no results."""

    def __init__(self, blocks: int, block_tokens: int = 16) -> None:
        """`blocks`: capacity (0: no cache); `block_tokens`: tokens in a block."""
        self._capacity = blocks
        self._block_tokens = block_tokens
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def take(self, tokens: Sequence[str]) -> int:
        """The number of leading tokens found; then the prompt's whole blocks are in the cache, newest.

        The last token is never found: an engine has to compute it to go on from it.
        """
        keys = self._keys(tokens)
        found = 0
        while found < len(keys) and keys[found] in self._blocks:
            found += 1
        # The prompt's tail is the first to go: a block without those before it is of no use.
        for key in reversed(keys):
            self._blocks[key] = None
            self._blocks.move_to_end(key)
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)
        return min(found * self._block_tokens, max(0, len(tokens) - 1))

    def _keys(self, tokens: Sequence[str]) -> list[int]:
        keys: list[int] = []
        size = self._block_tokens
        for start in range(0, len(tokens) - size + 1, size):
            before = keys[-1] if keys else 0
            keys.append(hash((before, tuple(tokens[start : start + size]))))
        return keys
