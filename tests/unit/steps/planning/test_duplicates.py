from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from batchmill.steps.planning import duplicates
from batchmill.steps.planning.duplicates import Seen


@given(st.lists(st.text(max_size=3)))
def test_an_id_is_known_from_its_second_time_on_with_the_place_of_the_first(names: list[str]) -> None:
    first: dict[str, str] = {}
    with Seen() as seen:
        for n, name in enumerate(names):
            assert seen.add(name, f"line {n}") == first.get(name)
            first.setdefault(name, f"line {n}")


def test_half_a_character_is_an_id_as_any_other() -> None:
    with Seen() as seen:
        assert [seen.add("\ud800", "line 1"), seen.add("\ud801", "line 2"), seen.add("\ud800", "line 3")] == [
            None,
            None,
            "line 1",
        ]


def test_ids_that_do_not_fit_into_memory_are_known_all_the_same() -> None:
    assert duplicates.CACHE_KIB <= 256 * 1024
    with Seen() as seen:
        seen._database.execute("PRAGMA cache_size = -64").close()
        told = Counter(seen.add(f"{n % 20_000:07d}", "somewhere") for n in range(20_100))
    assert told == {None: 20_000, "somewhere": 100}
