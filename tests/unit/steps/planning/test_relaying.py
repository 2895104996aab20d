"""Compressed inputs laid anew: the same pieces of whole records, however often a call stops."""

from __future__ import annotations

import gzip

import pytest

from batchmill.domain.errors import AlreadyExists
from batchmill.domain.formats import Compression
from support.laying import DATA, PACK, PREFIX, Laying, in_small, lines_of, rows


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small(monkeypatch)


@pytest.mark.parametrize("kind", PACK)
def test_a_compressed_input_becomes_pieces_of_whole_lines_that_know_their_place(kind: Compression) -> None:
    setting, data = Laying(), rows(500)
    setting.add(kind, PACK[kind](data))
    assert setting.call()
    assert setting.content() == data
    assert len(setting.pieces()) > 5
    at = 0
    for first_line, body in lines_of(setting):
        assert len(body) <= 2000
        assert body.endswith(b"\n")
        assert first_line == 1 + data.count(b"\n", 0, at)
        at += len(body)


def test_pieces_are_temporary_and_carry_marks_to_cut_at() -> None:
    setting, data = Laying(), rows(500)
    setting.add("gzip", gzip.compress(data))
    setting.call()
    laid = setting.relaying.laid()[0]
    marks = setting.relaying.marks([info for _, info in laid])
    for (name, _), body, found in zip(laid, setting.pieces(), marks, strict=True):
        assert found or name.last
        for at, line in found:
            assert body[at - 1 : at] == b"\n"
            assert line == name.first_line + body.count(b"\n", 0, at)
    assert setting.objects.temporary >= {info.key for _, info in laid}


def test_csv_is_cut_where_records_end() -> None:
    setting = Laying()
    record = b'"one\ntwo, ""three""\n",4\n'
    setting.add("gzip", gzip.compress(record * 400), ",")
    assert setting.call()
    assert setting.content() == record * 400
    assert all(len(body) % len(record) == 0 for body in setting.pieces())


@pytest.mark.parametrize("kind", PACK)
def test_a_call_that_runs_out_of_time_is_gone_on_with_to_the_same_pieces(kind: Compression) -> None:
    whole, parts, data = Laying(), Laying(step=10.0), rows(500)
    for setting in (whole, parts):
        setting.add(kind, PACK[kind](data))
    assert whole.call()
    calls = 1
    while not parts.call(seconds=15.0):
        calls += 1
    assert calls > 3
    assert parts.content() == data
    assert list(lines_of(parts)) == list(lines_of(whole))
    assert [(info.key, info.etag) for info in parts.objects.list(DATA, PREFIX)] == [
        (info.key, info.etag) for info in whole.objects.list(DATA, PREFIX)
    ]


@pytest.mark.parametrize("kind", ["gzip", "bzip2"])
def test_it_goes_on_from_the_latest_member_and_reads_nothing_before_it(kind: Compression) -> None:
    members = [rows(300, seed) for seed in range(6)]
    setting = Laying(step=10.0)
    one = setting.add(kind, b"".join(PACK[kind](member) for member in members))
    most = 0
    while not setting.call(seconds=15.0):
        most, setting.reads = max(most, setting.reads), 0
    assert setting.content() == b"".join(members)
    assert len(setting.pieces()) > 20
    # Two members, the one that is gone on with and its part that was laid before, and what is read ahead.
    assert most <= 2 * (one.info.size // 6 // 700 + 1) + 3


def test_several_inputs_are_laid_side_by_side_each_in_its_own_pieces() -> None:
    setting = Laying()
    bodies = [rows(100 + 20 * i, seed=i) for i in range(10)]
    for i, body in enumerate(bodies):
        kind = list(PACK)[i % 3]
        setting.add(kind, PACK[kind](body))
    assert setting.call()
    assert [setting.content(i) for i in range(10)] == bodies


def test_inputs_that_are_laid_are_not_read_again() -> None:
    setting = Laying()
    setting.add("gzip", gzip.compress(rows(200)))
    setting.call()
    setting.reads = 0
    assert setting.call()
    assert setting.reads == 0


def test_an_input_of_no_rows_is_one_piece_of_none() -> None:
    setting = Laying()
    setting.add("gzip", gzip.compress(b""))
    assert setting.call()
    assert setting.pieces() == [b""]


def test_a_last_line_without_its_line_feed_stays_as_it_is() -> None:
    setting = Laying()
    setting.add("gzip", gzip.compress(rows(100) + b"{}"))
    assert setting.call()
    assert setting.content() == rows(100) + b"{}"


def test_an_endless_line_is_kept_only_as_far_as_readers_refuse_it_and_its_neighbours_are_whole() -> None:
    setting = Laying()
    long = b"x" * 100_000
    setting.add("gzip", gzip.compress(b"first\n" + long + b"\nlast\n"))
    assert setting.call()
    assert setting.content() == b"first\n" + b"x" * (2000 - 6) + b"\nlast\n"
    assert [line for line, _ in lines_of(setting)] == [1, 3]


def test_what_another_call_has_laid_meanwhile_is_the_same_and_stays() -> None:
    setting, data = Laying(), rows(300)
    setting.add("gzip", gzip.compress(data))
    empty = setting.relaying.laid()
    setting.relaying(setting.packed, empty, setting.clock.now() + 1)
    before = {info.key: info.etag for info in setting.objects.list(DATA, PREFIX)}
    setting.relaying(setting.packed, empty, setting.clock.now() + 1)  # it had listed before the other began
    assert {info.key: info.etag for info in setting.objects.list(DATA, PREFIX)} == before
    with pytest.raises(AlreadyExists):
        setting.objects.create(DATA, next(iter(before)), b"other", {})
