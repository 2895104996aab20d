"""Compressed inputs that are damaged, bombs or gone, writes that fail, and what is held meanwhile."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator

import pytest

from batchmill.domain import unpacking
from batchmill.domain.errors import InputChanged, InputInvalid, InputMissing, InputTooLarge, Transient
from batchmill.domain.formats import Compression
from batchmill.domain.pieces import Piece, Pieces, PieceSizes
from batchmill.ports.objects import ObjectInfo
from batchmill.steps.planning import relaying
from support.laying import DATA, INPUT, PACK, PREFIX, Laying, in_small, rows


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small(monkeypatch)


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("harm", ["cut", "changed", "followed"])
def test_a_damaged_input_is_named_with_how_far_it_could_be_read(kind: Compression, harm: str) -> None:
    setting, packed = Laying(), bytearray(PACK[kind](rows(3000)))
    if harm == "cut":
        del packed[-20:]
    elif harm == "changed":
        packed[len(packed) // 2 :] = bytes(byte ^ 0x5A for byte in packed[len(packed) // 2 :])
    else:
        packed += b"garbage that is none"
    setting.add(kind, bytes(packed))
    pattern = rf"^s3://input/in/0\.{kind}: damaged {kind}: .*; [\d,]+ bytes of its content could be read, up to byte "
    with pytest.raises(InputInvalid, match=pattern) as error:
        setting.call()
    assert str(error.value).endswith(f" of {len(packed):,}: compress it anew")


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_is_refused_by_its_ratio(kind: Compression, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "SIZES", PieceSizes(limit=4_000_000, record=1_000_000, mark=1_000_000))
    setting = Laying()
    setting.add(kind, PACK[kind](bytes(60_000_000)) if kind != "gzip" else gzip.compress(bytes(60_000_000), 9))
    with pytest.raises(InputTooLarge, match=r"unpack to [\d,]+, more than 1,000 times as much"):
        setting.call()
    assert sum(map(len, setting.pieces())) < 20_000_000


def test_a_bomb_that_its_ratio_does_not_give_away_ends_at_the_batchs_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "PIECES_LIMIT", 4)
    setting = Laying()
    setting.add("gzip", gzip.compress(rows(2000)))
    with pytest.raises(InputTooLarge, match=r"unpack to more than 4 pieces of 2,000 bytes: submit them in parts"):
        setting.call()
    assert len(setting.pieces()) <= 6


def test_a_call_that_got_nowhere_says_that_the_input_is_too_long_to_be_unpacked() -> None:
    setting = Laying()
    setting.add("gzip", gzip.compress(rows(500)))
    with pytest.raises(InputTooLarge, match=r"^s3://input/in/0\.gzip: unpacking it .* takes longer than plan may run"):
        setting.call(seconds=0.0)


def test_a_failing_input_stops_the_others_and_is_the_one_that_is_named() -> None:
    setting = Laying()
    for _ in range(3):
        setting.add("gzip", gzip.compress(rows(3000)))
    setting.add("gzip", gzip.compress(rows(10))[:-5])
    with pytest.raises(InputInvalid, match=r"in/3\.gzip: damaged"):
        setting.call()


def test_an_input_overwritten_or_gone_between_two_calls_is_told_so() -> None:
    for harm, error in (("overwritten", InputChanged), ("gone", InputMissing)):
        setting = Laying(step=10.0)
        one = setting.add("gzip", gzip.compress(rows(500)))
        assert not setting.call(seconds=15.0)
        if harm == "gone":
            setting.objects.delete(INPUT, one.info.key)
        else:
            setting.objects.put(INPUT, one.info.key, gzip.compress(rows(600)))
        with pytest.raises(error):
            setting.call()


def test_a_write_that_fails_leaves_no_gap_behind_it() -> None:
    setting, data = Laying(), rows(500)
    setting.add("gzip", gzip.compress(data))
    written: list[str] = []

    def fail_third(operation: str, bucket: str, key: str) -> None:
        if operation == "create":
            written.append(key)
            if len(written) == 3:
                raise Transient("busy")

    setting.objects.before = fail_third
    with pytest.raises(Transient):
        setting.call()
    assert len(setting.pieces()) == 2
    setting.objects.before = None
    assert setting.call()
    assert setting.content() == data


def test_a_piece_behind_a_gap_counts_for_nothing() -> None:
    setting, data = Laying(), rows(500)
    setting.add("gzip", gzip.compress(data))
    setting.call()
    setting.objects.delete(DATA, setting.relaying.laid()[0][1][1].key)
    assert len(setting.pieces()) == 1
    assert setting.call()
    assert setting.content() == data


def test_no_more_than_three_pieces_of_an_input_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By sizes rather than by the process's: what is being written, what is whole, and what grows are bounded each."""
    writing = most = 0
    lock, add = threading.Lock(), Pieces.add

    def counted(self: Pieces, block: bytes) -> Iterator[Piece]:
        nonlocal most
        for piece in add(self, block):
            with lock:
                most = max(most, len(piece.body) + writing + len(self._buffer))
            yield piece

    def counting(step: int) -> Callable[[str, str, str], None]:
        def hook(operation: str, bucket: str, key: str) -> None:
            nonlocal writing
            if operation == "create":
                with lock:
                    writing += step

        return hook

    monkeypatch.setattr(Pieces, "add", counted)
    setting = Laying()
    setting.objects.before, setting.objects.after = counting(2000), counting(-2000)
    setting.add("gzip", gzip.compress(rows(3000)))
    assert setting.call()
    assert 2000 < most <= 3 * 2000 + unpacking.BLOCK_BYTES


def test_other_objects_under_the_prefix_are_no_pieces() -> None:
    setting = Laying()
    setting.objects.put(DATA, f"{PREFIX}notes.txt", b"x")
    setting.objects.put(DATA, f"{PREFIX}00000-00001-5", b"x")  # without the one before it
    assert setting.relaying.laid() == {0: []}


def test_a_read_that_is_short_of_the_object_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    setting, data = Laying(), rows(500)
    one = setting.add("gzip", gzip.compress(data))
    read = setting.objects.read

    def short(pinned: ObjectInfo, start: int, end: int) -> bytes:
        return read(pinned, start, min(end, one.info.size - 30))

    monkeypatch.setattr(setting.objects, "read", short)
    with pytest.raises(InputInvalid, match="damaged gzip"):
        setting.call()
