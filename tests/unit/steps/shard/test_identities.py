"""custom_ids compared over a whole batch that was too large for plan to look."""

from __future__ import annotations

from array import array
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchmill.contracts.manifest import DuplicateIdsFound, Manifest
from batchmill.contracts.workflow import CloseInput, LandInput, RunInput
from batchmill.domain import ids
from batchmill.domain.errors import Transient
from batchmill.steps.planning import duplicates as at_planning
from batchmill.steps.shard import identities
from support.shards import Running
from support.world import DATA, World

PROFILE = b"endpoint: /v1/embeddings\ninput: '{{ text }}'\ncustom_id: text\n"


def found(world: World, batch_id: str) -> DuplicateIdsFound | None:
    told = Manifest.model_validate_json(world.objects.get(DATA, f"batches/{batch_id}/manifest.json"))
    return told.duplicate_custom_ids


def landed(names: list[str], before: object = None) -> DuplicateIdsFound | None:
    """What the manifest says of a batch of rows with these ids, whose parts land wrote."""
    world = World(shard_rows=2)
    body = b"id,text\n" + b"".join(f"{n},{name}\n".encode() for n, name in enumerate(names))
    batch_id = world.drop(body, key="embed/rows.csv", profile=PROFILE)
    world.open(batch_id)
    world.objects.before = before  # type: ignore[assignment]
    world.close(CloseInput(batch_id=batch_id, run=0))
    for item in world.documents(batch_id).shards():
        world.land(LandInput(batch_id=batch_id, run=0, shard=item))
    world.complete(RunInput(batch_id=batch_id, run=0))
    world.objects.before = None
    written = [key for key in world.objects.keys(DATA) if "/ids-" in key]
    assert world.objects.temporary >= set(written)
    return found(world, batch_id)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every input is too large to look."""
    monkeypatch.setattr(at_planning, "LOOKED_BYTES", 0)


@pytest.mark.usefixtures("large")
def test_ids_that_occur_again_anywhere_are_counted_in_the_manifest() -> None:
    assert landed(list("abcdeface")) == DuplicateIdsFound(checked=True, count=3)
    assert landed(list("abcdefghi")) == DuplicateIdsFound(checked=True, count=0)


def test_what_plan_has_looked_through_is_said_to_be_so() -> None:
    assert landed(list("abc")) == DuplicateIdsFound(checked=True, count=0)


def test_rows_without_ids_of_their_own_have_nothing_to_compare() -> None:
    running = Running()
    for item in running.items:
        running.commit(item.n)
    running.world.close(CloseInput(batch_id=running.batch_id, run=0))
    running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    assert found(running.world, running.batch_id) is None
    assert not [key for key in running.world.objects.keys(DATA) if "/ids-" in key]


@pytest.mark.usefixtures("large")
def test_too_many_rows_and_hashes_that_were_lost_are_told_as_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def trouble(operation: str, bucket: str, key: str) -> None:
        if operation == "put" and "00001/ids-" in key:
            raise Transient("no")

    assert landed(list("abca"), trouble) == DuplicateIdsFound(checked=False)
    monkeypatch.setattr(identities, "ROWS_LIMIT", 3)
    assert landed(list("abca")) == DuplicateIdsFound(checked=False)


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), max_size=5))
def test_any_parts_of_any_ids_are_counted_as_one_list_would_be(parts: list[list[str]]) -> None:
    laid = [array("Q", sorted(int.from_bytes(identities._digest(name)) for name in part)) for part in parts]
    expected = sum(count - 1 for count in Counter(name for part in parts for name in part).values())
    assert sum(identities._again(laid, n) for n in range(identities._BUCKETS)) == expected


def test_hashes_of_each_writer_have_a_key_of_their_own() -> None:
    keys = {ids.hashes_key("b", 0, 1, attempt, writer) for attempt in (0, 1) for writer in ("land", "other")}
    assert len(keys) == 4
