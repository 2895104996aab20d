"""The main job against real vLLM: a thousand chat requests through the embedded stack."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from subprocess import run

import pyarrow.parquet as pq

MODEL = "tiny-llama"

ROWS = 1000


def test_a_thousand_chat_requests_are_a_thousand_answers(vllm_url: str, tmp_path: Path) -> None:
    lines = [
        {
            "custom_id": f"request-{i}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": MODEL,
                "messages": [{"role": "user", "content": f"Question {i}: " + "why " * (i % 40)}],
                "max_tokens": 4 + i % 9,
            },
        }
        for i in range(ROWS)
    ]
    source = tmp_path / "requests.jsonl"
    source.write_text("\n".join(json.dumps(line) for line in lines))
    command = [sys.executable, "-m", "batchmill", "run", str(source), "--engine", vllm_url, "--model", MODEL]
    done = run([*command, "--shard-rows", "150", "-o", str(tmp_path / "out")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = pq.read_table(tmp_path / "out" / "results").to_pylist()
    assert Counter(row["status"] for row in rows) == {"ok": ROWS}
    assert Counter(row["custom_id"] for row in rows) == Counter(line["custom_id"] for line in lines)
    limits = {str(line["custom_id"]): 4 + i % 9 for i, line in enumerate(lines)}
    for row in rows:
        assert row["finish_reason"] in ("stop", "length")
        assert 0 < row["completion_tokens"] <= limits[row["custom_id"]]
        assert (row["model"], row["prompt_tokens"] > 0) == (MODEL, True)
