from __future__ import annotations

import pytest

from batchmill.domain.errors import SpecInvalid
from batchmill.settings import Settings

LEAST = {"BATCHMILL_TABLE": "t", "BATCHMILL_DATA_BUCKET": "d"}


def test_what_is_not_set_has_its_default() -> None:
    told = Settings.read(LEAST)
    assert (told.table, told.data_bucket, told.pool, told.window) == ("t", "d", "default", 64)


def test_a_variable_that_is_missing_or_no_number_is_named() -> None:
    with pytest.raises(SpecInvalid, match="BATCHMILL_TABLE is not set"):
        Settings.read({})
    with pytest.raises(SpecInvalid, match="BATCHMILL_WINDOW is not a number: 'many'"):
        Settings.read({**LEAST, "BATCHMILL_WINDOW": "many"})


def test_pools_are_read_by_name() -> None:
    told = Settings.read({**LEAST, "BATCHMILL_POOLS": '{"default": {"queue_url": "q", "model": "m"}}'})
    assert told.pools is not None
    assert told.pools["default"].model == "m"


@pytest.mark.parametrize(("text", "names"), [("", ()), ("one", ("one",)), ("one,two", ("one", "two"))])
def test_readable_buckets_stand_between_commas(text: str, names: tuple[str, ...]) -> None:
    assert Settings.read({**LEAST, "BATCHMILL_READABLE_BUCKETS": text}).readable_buckets == names


@pytest.mark.parametrize("command", ['["vllm", "serve", "a b"]', "vllm serve x"])
def test_an_engine_command_is_a_json_list_or_split_at_blanks(command: str) -> None:
    told = Settings.read({**LEAST, "BATCHMILL_ENGINE_COMMAND": command})
    assert told.engine_command[:2] == ("vllm", "serve")
    assert len(told.engine_command) == 3
