"""Compressed inputs laid anew: unpacked once, in bounded memory, and written as pieces that can be cut and read alone.

What is laid is the progress: a piece's name says which input it is of, where it begins and whether it is the last, and
its metadata where unpacking goes on after it. Beside it lie its marks, places where it may be cut. A call that runs out
of its time leaves the rest to the next one, which unpacks again from the latest gzip member or bzip2 stream, or from
the beginning, and lays what is missing. The same pieces come of the same input however often it is begun, and each is
written once, so that two calls cannot disagree.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from batchmill.domain.errors import AlreadyExists, InputInvalid, InputTooLarge
from batchmill.domain.formats import Compression
from batchmill.domain.pieces import Piece, PieceName, Pieces, PieceSizes
from batchmill.domain.starts import Start
from batchmill.domain.unpacking import RATIO_LIMIT, BadStream, Unpacked, Zstd
from batchmill.ports.clock import Clock
from batchmill.ports.objects import ObjectInfo, Objects

SIZES = PieceSizes()

PIECES_LIMIT = 50_000
"""Of one batch, each one shard at least: 2.5 TB of content, and the end of a bomb that its ratio does not give away."""

READ_BYTES = 8 * 1024 * 1024
"""One ranged read of a compressed object."""

AT_ONCE = 4
"""Objects unpacked at a time. Each holds three pieces (growing, whole, being written) and three reads: some 220 MiB."""


MARKS_AT_ONCE = 32

_MARKS = ".marks"

Laid = Mapping[int, Sequence[tuple[PieceName, ObjectInfo]]]
"""Of each input, its pieces in order, without a gap."""


@dataclass(frozen=True)
class Packed:
    """The `number`-th of a batch's inputs, compressed. `delimiter` where it is CSV whose records may span lines."""

    number: int
    info: ObjectInfo
    kind: Compression
    delimiter: str | None

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.info.bucket}/{self.info.key}"

    def whole(self, laid: Laid) -> bool:
        """Whether its last piece is laid."""
        there = laid.get(self.number, ())
        return bool(there) and there[-1][0].last


class _Call:
    """One call's time, and what its threads have laid together."""

    def __init__(self, clock: Clock, until: float, room: int) -> None:
        self._clock, self._until, self._room = clock, until, room
        self._lock = threading.Lock()
        self.laid = 0
        self.failed = False

    @property
    def over(self) -> bool:
        """Whether there is no time left, or no use in going on."""
        return self.failed or self._clock.now() >= self._until

    def count(self, uri: str) -> None:
        """One more piece. Raises InputTooLarge where the batch has too many."""
        with self._lock:
            self.laid += 1
            if self.laid > self._room:
                raise InputTooLarge(
                    f"{uri}: the batch's inputs unpack to more than {PIECES_LIMIT:,} pieces of {SIZES.limit:,} bytes: "
                    "submit them in parts"
                )


@dataclass(frozen=True)
class Relaying:
    """Lays pieces under `prefix` of `bucket`."""

    objects: Objects
    clock: Clock
    zstd: Zstd
    bucket: str
    prefix: str

    def laid(self) -> Laid:
        """What lies there already."""
        found: dict[int, list[tuple[PieceName, ObjectInfo]]] = {}
        for info in self.objects.list(self.bucket, self.prefix):
            name = PieceName.parse(info.key.removeprefix(self.prefix))
            if name and name.number == len(found.setdefault(name.source, [])):
                found[name.source].append((name, info))
        return found

    @property
    def mark_bytes(self) -> int:
        """How far apart marks lie, at least."""
        return SIZES.mark

    def marks(self, pieces: Sequence[ObjectInfo]) -> list[tuple[Start, ...]]:
        """Of each piece, records' starts in it: the place in the piece, and the number of its line in the input."""

        def read(info: ObjectInfo) -> tuple[Start, ...]:
            pairs = (mark.split(b":") for mark in self.objects.get(info.bucket, info.key + _MARKS).split())
            return tuple((int(at), int(line)) for at, line in pairs)

        with ThreadPoolExecutor(MARKS_AT_ONCE) as pool:
            return list(pool.map(read, pieces))

    def __call__(self, inputs: Sequence[Packed], laid: Laid, until: float) -> None:
        """Lay what of the inputs is not `laid`, as far as it goes until that time (seconds since the epoch).

        Raises InputInvalid for a damaged input, saying how far it could be read; InputTooLarge for one that unpacks
        to too much, or that a whole call was not enough for; InputChanged and InputMissing; Transient.
        """
        left = [one for one in inputs if not one.whole(laid)]
        call = _Call(self.clock, until, PIECES_LIMIT - sum(map(len, laid.values())))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            done = list(pool.map(lambda one: self._lay(one, laid.get(one.number, ()), call), left))
        if not all(done) and not call.laid:
            first = left[done.index(False)]
            raise InputTooLarge(
                f"{first.uri}: unpacking it as far as it has to be at once takes longer than plan may run: give it in "
                "several files, or uncompressed, or as gzip or bzip2 of several members"
            )

    def _lay(self, one: Packed, laid: Sequence[tuple[PieceName, ObjectInfo]], call: _Call) -> bool:
        if call.over:
            return False
        try:
            return _Unpacking(self, one, laid, call).run()
        except BaseException:
            call.failed = True  # the others need not go on
            raise


def checked(content: Unpacked, one: Packed, base: int = 0, source_at: int = 0) -> Iterator[bytes]:
    """The blocks of a content that is unpacked from byte `source_at` of its input on, which is `base` of the content.

    Raises InputInvalid where it is damaged, InputTooLarge where it is a bomb.
    """
    try:
        for block in content:
            if content.bomb:
                raise InputTooLarge(
                    f"{one.uri}: its first {content.taken:,} bytes unpack to {content.given:,}, more than "
                    f"{RATIO_LIMIT:,} times as much: not unpacked further (if that is right, give it uncompressed)"
                )
            yield block
    except BadStream as error:
        raise InputInvalid(
            f"{one.uri}: damaged {one.kind}: {error}; {base + content.given:,} bytes of its "
            f"content could be read, up to byte {source_at + content.taken:,} of {one.info.size:,}: "
            "compress it anew"
        ) from None


class _Unpacking:
    """One input in one call."""

    def __init__(self, tools: Relaying, one: Packed, laid: Sequence[tuple[PieceName, ObjectInfo]], call: _Call) -> None:
        self._tools, self._one, self._call = tools, one, call
        self._number, self._line = len(laid), 1
        self._source_at = self._content_at = self._skip = 0
        if laid:
            told = tools.objects.head(tools.bucket, laid[-1][1].key).metadata
            self._line, self._source_at = int(told["next-line"]), int(told["source-at"])
            self._content_at, self._skip = int(told["content-at"]), int(told["skip"])
        self._base = self._content_at - self._skip  # where in the content this call's unpacking begins
        self._restart = self._later = (0, 0)
        self._writing: Future[None] | None = None

    def run(self) -> bool:
        """Whether the input is laid to its end."""
        pieces = Pieces(SIZES, self._one.delimiter, self._content_at, self._line)
        with ThreadPoolExecutor(2) as pool:
            content = Unpacked(self._one.kind, self._blocks(pool), self._tools.zstd)
            for block in checked(content, self._one, self._base, self._source_at):
                if self._call.over:
                    self._written()
                    return False
                for piece in pieces.add(self._unread(block)):
                    self._write(pool, piece, last=False)
                self._note(content.restart)
            self._write(pool, pieces.rest(), last=True)
            self._written()
            return True

    def _blocks(self, pool: ThreadPoolExecutor) -> Iterator[bytes]:
        """The input's bytes from where this call begins, the next read being under way."""
        ahead: Future[bytes] | None = None
        info = self._one.info
        for at in range(self._source_at, info.size, READ_BYTES):
            following = pool.submit(self._tools.objects.read, info, at, min(at + READ_BYTES, info.size))
            if ahead:
                yield ahead.result()
            ahead = following
        if ahead:
            yield ahead.result()

    def _unread(self, block: bytes) -> bytes:
        """What of a block has not been laid by an earlier call."""
        known = min(self._skip, len(block))
        self._skip -= known
        return block[known:] if known else block

    def _note(self, restart: tuple[int, int]) -> None:
        """Remember the first place of the piece that is growing from which unpacking could begin anew."""
        if self._later <= self._restart < restart:
            self._later = restart

    def _write(self, pool: ThreadPoolExecutor, piece: Piece, *, last: bool) -> None:
        """Write a piece beside what goes on, after the one before it: so there is never a gap."""
        self._written()
        name = PieceName(self._one.number, self._number, self._line, last)
        given = piece.end - self._base
        if self._restart < self._later and self._later[1] <= given:
            self._restart = self._later
        metadata = {
            "next-line": str(piece.next_line),
            "content-at": str(piece.end),
            "source-at": str(self._source_at + self._restart[0]),
            "skip": str(given - self._restart[1]),
        }
        self._number, self._line = self._number + 1, piece.next_line
        self._writing = pool.submit(self._create, name, piece, metadata)

    def _written(self) -> None:
        if self._writing:
            self._writing.result()
            self._writing = None
            self._call.count(self._one.uri)

    def _create(self, name: PieceName, piece: Piece, metadata: Mapping[str, str]) -> None:
        tools, key = self._tools, f"{self._tools.prefix}{name}"
        marks = " ".join(f"{at}:{line}" for at, line in piece.marks).encode()
        tools.objects.put(tools.bucket, key + _MARKS, marks, temporary=True)  # first: a piece is never without them
        with suppress(AlreadyExists):  # another call's, and the same: pieces depend on the input alone
            tools.objects.create(tools.bucket, key, piece.body, metadata, temporary=True)
