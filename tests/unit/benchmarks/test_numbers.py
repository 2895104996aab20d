import json
from pathlib import Path

from benchmarks.numbers import Number, at_least, at_most, lines, write

FOUND = [
    Number("requests", 3, "requests"),
    at_most("share", 0.031234567, "%", 0.03, "the file"),
    at_least("scan", 50.0, "times", 50.0),
]


def test_an_aim_holds_at_its_very_value_and_is_missed_beyond() -> None:
    assert [one.holds for one in FOUND] == [None, False, True]


def test_a_report_is_a_list_of_numbers_with_their_peers_and_aims(tmp_path: Path) -> None:
    write(tmp_path / "new/folder.json", FOUND)
    assert json.loads((tmp_path / "new/folder.json").read_text())[1] == {
        "name": "share",
        "value": 0.0312346,
        "unit": "%",
        "peer": "the file",
        "aim": 0.03,
        "holds": False,
    }


def test_a_person_is_told_which_aims_are_missed() -> None:
    told = list(lines(FOUND))
    assert ["MISSED" in line for line in told] == [False, True, False]
    assert "holds" in told[2]
    assert list(lines([])) == []
