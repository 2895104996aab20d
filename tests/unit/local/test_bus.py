"""The names of hidden queues."""

import re

from batchmill.local.bus import hidden_queue_name


def test_a_hidden_queue_is_named_after_both_its_ends_by_a_name_sqs_takes() -> None:
    names = {hidden_queue_name(source, function) for source in ("rule/a", "rule/b") for function in ("f", "g")}
    assert len(names) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name) for name in names)
    assert hidden_queue_name("rule/a", "f") in names
