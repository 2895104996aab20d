"""That a function's import is compared with the run of the peer beside it, and told with what was aimed at."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import functions
from building import importing
from building.artifacts import Artifact

PLAN = Artifact("PlanFunction", "plan.handler", Path("plan"), ())


def test_each_number_is_the_median_of_the_ratios_to_the_peer_right_before(monkeypatch: pytest.MonkeyPatch) -> None:
    peers, imports = iter([1.0, 2.0, 4.0]), iter([1.0, 4.0, 5.0])
    monkeypatch.setattr(functions, "ROUNDS", 3)
    monkeypatch.setattr(importing, "run", lambda *_: [next(peers)])

    def start(*_: object) -> importing.Took:
        imported = next(imports)
        return importing.Took(imported, imported * 2)

    monkeypatch.setattr(importing, "start", start)
    rows = functions.measured(Path("python"), [PLAN], Path("runtime"))
    assert [(row["name"], row["value"], row["holds"]) for row in rows] == [
        (functions.PEER, 2.0, None),
        ("PlanFunction: import", 1.25, False),
        ("PlanFunction: import, with its clients", 2.5, None),
    ]


@pytest.mark.parametrize(("value", "holds"), [(functions.AIM, True), (functions.AIM + 0.01, False)])
def test_an_aim_holds_up_to_itself(value: float, holds: bool) -> None:
    told = functions.row("a", value, "times the peer", functions.AIM)
    assert told["holds"] is holds
    assert set(told) == {"name", "value", "unit", "peer", "aim", "holds"}
