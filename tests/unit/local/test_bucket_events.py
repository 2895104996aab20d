"""Sequencers, and what one request is said to have created."""

from types import SimpleNamespace

from batchmill.local.bucket_events import collecting


def _bucket(versioned: bool = False) -> SimpleNamespace:
    return SimpleNamespace(name="b", arn="arn:aws:s3:::b", region_name="us-east-1", is_versioned=versioned)


def _key(name: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, size=1, etag='"abc"', version_id="v")


def test_later_requests_have_greater_sequencers() -> None:
    seen = []
    for _ in range(100):
        with collecting() as created:
            created.note(_bucket(), _key("k"), "PutObject")
        seen.append(created.events()[0]["detail"]["object"]["sequencer"])
    assert seen == sorted(set(seen))


def test_the_last_note_of_an_object_counts() -> None:
    with collecting() as created:
        created.note(_bucket(), _key("k"), "PutObject")
        created.note(_bucket(versioned=True), _key("other"), "PutObject")
        created.note(_bucket(), _key("k"), "CopyObject")
    told = [(e["detail"]["object"]["key"], e["detail"]["reason"]) for e in created.events()]
    assert told == [("k", "CopyObject"), ("other", "PutObject")]
    assert [e["detail"]["object"].get("version-id") for e in created.events()] == [None, "v"]
