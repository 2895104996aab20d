"""What every store of objects owes the steps."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from batchmill.adapters.aws_clients import s3_client
from batchmill.adapters.s3 import S3Objects
from batchmill.domain.errors import AlreadyExists, Gone, InputChanged, InputMissing
from batchmill.ports.objects import Objects
from fakes.objects import MemoryObjects

PLAIN, VERSIONED = "plain-bucket", "versioned-bucket"
MIB = 1024 * 1024


@pytest.fixture(params=["fake", "s3", "s3 in parts"])
def objects(request: pytest.FixtureRequest) -> Objects:
    if request.param == "fake":
        return MemoryObjects(versioned=frozenset({VERSIONED}))
    request.getfixturevalue("aws")
    client = s3_client()
    for bucket in (PLAIN, VERSIONED):
        client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    # Small bodies by multipart as well: one part each, since S3 wants all but the last to be 5 MiB or more.
    return S3Objects(client, part_bytes=5 * MIB if request.param == "s3 in parts" else 16 * MIB)


def delete(objects: Objects, bucket: str, key: str) -> None:
    if isinstance(objects, MemoryObjects):
        objects.delete(bucket, key)
    else:
        s3_client().delete_object(Bucket=bucket, Key=key)


def test_what_was_put_is_got_and_put_again_is_replaced(objects: Objects) -> None:
    objects.put(PLAIN, "a/b.txt", b"one", "text/plain")
    objects.put(PLAIN, "a/b.txt", b"two")
    assert objects.get(PLAIN, "a/b.txt") == b"two"


@pytest.mark.parametrize("bucket", [PLAIN, VERSIONED])
def test_head_tells_size_etag_and_version(objects: Objects, bucket: str) -> None:
    objects.put(bucket, "key", b"hello")
    info = objects.head(bucket, "key")
    assert (info.bucket, info.key, info.size) == (bucket, "key", 5)
    assert info.etag == "5d41402abc4b2a76b9719d911017c592"
    assert (info.version_id is None) == (bucket == PLAIN)


def test_an_earlier_version_stays_readable_by_its_id(objects: Objects) -> None:
    objects.put(VERSIONED, "key", b"one")
    first = objects.head(VERSIONED, "key")
    objects.put(VERSIONED, "key", b"two, longer")
    assert objects.get(VERSIONED, "key", first.version_id) == b"one"
    assert objects.head(VERSIONED, "key", first.version_id) == first
    assert objects.read(first, 0, 3) == b"one"


def test_a_version_stays_readable_when_the_key_is_deleted(objects: Objects) -> None:
    objects.put(VERSIONED, "key", b"one")
    first = objects.head(VERSIONED, "key")
    delete(objects, VERSIONED, "key")
    assert objects.read(first, 0, 3) == b"one"
    with pytest.raises(Gone):
        objects.head(VERSIONED, "key")


def test_what_is_not_there_is_gone(objects: Objects) -> None:
    with pytest.raises(Gone):
        objects.head(PLAIN, "nothing")
    with pytest.raises(Gone):
        objects.get(PLAIN, "nothing")


def test_a_version_that_never_was_is_gone(objects: Objects) -> None:
    objects.put(VERSIONED, "key", b"one")
    with pytest.raises(Gone):
        objects.get(VERSIONED, "key", "no-such-version")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 5, b"01234"),
        (3, 7, b"3456"),
        (8, 99, b"89"),
        (10, 20, b""),
        (400, 500, b""),
        (4, 4, b""),
        (0, 10, b"0123456789"),
    ],
)
def test_a_range_is_half_open_and_cut_at_the_end(objects: Objects, start: int, end: int, expected: bytes) -> None:
    objects.put(PLAIN, "digits", b"0123456789")
    assert objects.read(objects.head(PLAIN, "digits"), start, end) == expected


def test_an_empty_object_reads_as_nothing(objects: Objects) -> None:
    objects.put(PLAIN, "empty", b"")
    assert objects.read(objects.head(PLAIN, "empty"), 0, 10) == b""


def test_an_overwritten_input_is_refused(objects: Objects) -> None:
    objects.put(PLAIN, "key", b"one")
    pinned = objects.head(PLAIN, "key")
    objects.put(PLAIN, "key", b"two")
    with pytest.raises(InputChanged):
        objects.read(pinned, 0, 3)


def test_a_vanished_input_is_refused(objects: Objects) -> None:
    objects.put(PLAIN, "key", b"one")
    pinned = objects.head(PLAIN, "key")
    delete(objects, PLAIN, "key")
    with pytest.raises(InputMissing):
        objects.read(pinned, 0, 3)


def test_an_etag_is_taken_also_as_events_have_it(objects: Objects) -> None:
    objects.put(PLAIN, "key", b"hello")
    pinned = replace(objects.head(PLAIN, "key"), etag="5d41402abc4b2a76b9719d911017c592")
    assert objects.read(pinned, 1, 3) == b"el"


@pytest.mark.parametrize("size", [0, 100, 6 * MIB])
def test_create_writes_once_with_its_metadata(objects: Objects, size: int) -> None:
    body = b"x" * size
    objects.create(PLAIN, "part-00001.parquet", body, {"attempt": "2", "writer": "me"})
    info = objects.head(PLAIN, "part-00001.parquet")
    assert (info.size, dict(info.metadata)) == (size, {"attempt": "2", "writer": "me"})
    assert objects.get(PLAIN, "part-00001.parquet") == body


@pytest.mark.parametrize("size", [100, 6 * MIB])
def test_what_is_created_as_temporary_is_there_like_anything_else(objects: Objects, size: int) -> None:
    objects.create(PLAIN, "piece", b"x" * size, {"next-line": "7"}, temporary=True)
    info = objects.head(PLAIN, "piece")
    assert (info.size, dict(info.metadata)) == (size, {"next-line": "7"})
    with pytest.raises(AlreadyExists):
        objects.create(PLAIN, "piece", b"other", {}, temporary=True)


@pytest.mark.parametrize(
    "key", ["a folder/b c.txt", "ü/日本.txt", "a+b.txt", "50%.txt", "%41.txt", "a/?b=1&c#d.txt", "folder/"]
)
def test_a_key_is_what_it_is_in_listings_heads_and_reads(objects: Objects, key: str) -> None:
    objects.put(PLAIN, key, b"content")
    (listed,) = objects.list(PLAIN, key[:2])
    assert (listed.key, listed.size) == (key, 7)
    assert objects.read(listed, 0, 7) == objects.read(objects.head(PLAIN, key), 0, 7) == b"content"


@pytest.mark.parametrize("size", [100, 6 * MIB])
@pytest.mark.parametrize("bucket", [PLAIN, VERSIONED])
def test_of_two_creates_the_first_stays(objects: Objects, bucket: str, size: int) -> None:
    objects.create(bucket, "part", b"first", {"attempt": "1"})
    with pytest.raises(AlreadyExists):
        objects.create(bucket, "part", b"2" * size, {"attempt": "2"})
    assert objects.get(bucket, "part") == b"first"
    assert objects.head(bucket, "part").metadata == {"attempt": "1"}


def test_create_may_follow_a_delete(objects: Objects) -> None:
    objects.put(VERSIONED, "key", b"one")
    delete(objects, VERSIONED, "key")
    objects.create(VERSIONED, "key", b"two", {})
    assert objects.get(VERSIONED, "key") == b"two"


def test_a_listing_holds_the_prefix_alone_in_key_order(objects: Objects) -> None:
    for key in ("b/2", "b/10", "b/1", "a/1", "c", "b"):
        objects.put(VERSIONED, key, key.encode())
    objects.put(VERSIONED, "b/gone", b"")
    delete(objects, VERSIONED, "b/gone")
    found = list(objects.list(VERSIONED, "b/"))
    assert [(info.key, info.size) for info in found] == [("b/1", 3), ("b/10", 4), ("b/2", 3)]
    assert found[0].etag == objects.head(VERSIONED, "b/1").etag
    assert list(objects.list(PLAIN, "")) == []


def test_a_long_listing_is_whole(objects: Objects) -> None:
    for number in range(1003):
        objects.put(PLAIN, f"k/{number:05d}", b"")
    assert [info.key for info in objects.list(PLAIN, "k/")] == [f"k/{number:05d}" for number in range(1003)]


@pytest.mark.parametrize("key", ["a/b.png", "with space + plus % percent.png", "é/日本.png"])
def test_a_link_is_of_one_key_for_a_while_whether_it_is_there_or_not(objects: Objects, key: str) -> None:
    link = urlsplit(objects.presign(PLAIN, key, 900))
    assert link.scheme == "https"
    assert PLAIN in link.netloc + link.path
    assert unquote(link.path).endswith(f"/{key}")
    assert parse_qs(link.query)["X-Amz-Expires"] == ["900"]
    assert "X-Amz-Signature" in parse_qs(link.query)
