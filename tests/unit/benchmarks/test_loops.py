import io
import json
from pathlib import Path

import pytest

from batchmill.local.engines.scripted import ScriptedServer
from benchmarks import loops, workload


@pytest.mark.parametrize("kind", loops.LOOPS)
async def test_a_loop_asks_each_request_once_within_its_window_and_writes_the_answer(kind: str, tmp_path: Path) -> None:
    work = workload.write(tmp_path, "tag", 20)
    lines = [json.loads(line) for line in work.path.read_text().splitlines()]
    written = io.StringIO()
    async with ScriptedServer() as engine:
        await loops.loop(kind, engine.url, lines, written, window=4)
        stats = engine.stats()
    answers = tmp_path / "answers.jsonl"
    answers.write_text(written.getvalue())
    workload.check(kind, workload.read_answers(answers), work)
    assert stats["totals"] == {"received": 20, "completed": 20}
    assert stats["peak_in_flight"] <= 4
