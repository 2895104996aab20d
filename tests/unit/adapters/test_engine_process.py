"""The engine as a child process: it starts, says why if it cannot, and never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from batchmill.adapters.engine import AiohttpEngine
from batchmill.adapters.engine_process import EngineProcess
from batchmill.domain.errors import EngineStartFailed
from batchmill.local.engines.script import Fault, FaultKind, Script

SCRIPTED = [sys.executable, "-m", "batchmill.local.engines.scripted", "--port", "{port}"]
CORE = str(Path(__file__).parents[3] / "layers" / "core")
ENVIRONMENT = {"PYTHONPATH": CORE}


def gone(pid: int) -> bool:
    """Whether no process has this pid, or only a zombie that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def until(condition: Callable[[], bool], limit_s: float = 30.0) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def family(folder: Path) -> list[str]:
    """A command: an engine with a child in another session that ignores SIGTERM; writes both pids to `folder`."""
    program = f"""
        import os, subprocess, sys
        from pathlib import Path
        sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True)
        Path({str(folder)!r}, "pids").write_text(f"{{os.getpid()}} {{child.pid}}")
        os.execv(sys.executable, [sys.executable, "-m", "batchmill.local.engines.scripted", "--port", sys.argv[1]])
    """
    return [sys.executable, "-c", textwrap.dedent(program), "{port}"]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EngineProcess]:
    process = EngineProcess(SCRIPTED, tmp_path / "engine.log", environment=ENVIRONMENT)
    await process.start()
    yield process
    await process.stop(grace_s=0)


async def test_a_started_engine_is_healthy_and_a_stopped_one_is_gone(engine: EngineProcess) -> None:
    client = AiohttpEngine(engine.url)
    assert await client.healthy()
    assert engine.alive()
    assert await engine.stop(grace_s=20) == 0
    assert not engine.alive()
    assert not await client.healthy()
    await client.close()


async def test_starting_twice_starts_one(engine: EngineProcess) -> None:
    pid = engine.pid
    await engine.start()
    assert engine.pid == pid


async def test_a_restarted_engine_answers_at_the_same_address(engine: EngineProcess) -> None:
    before, url = engine.pid, engine.url
    await engine.restart()
    client = AiohttpEngine(engine.url)
    assert engine.url == url
    assert engine.pid != before
    assert await client.healthy()
    await client.close()


async def test_an_engine_that_dies_is_seen_as_dead(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    poison = Script(faults=(Fault(kind=FaultKind.POISON, marker="poison"),))
    script.write_text(poison.model_dump_json())
    process = EngineProcess([*SCRIPTED, "--script", str(script)], tmp_path / "engine.log", environment=ENVIRONMENT)
    await process.start()
    client = AiohttpEngine(process.url)
    reply = await client.send("/v1/completions", b'{"model": "any", "prompt": "poison"}')
    assert reply.status == 0
    assert until(lambda: not process.alive())
    assert await process.stop() == 70
    await client.close()


async def test_an_engine_that_exits_while_starting_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such model: zebra')"]
    process = EngineProcess(command, tmp_path / "logs" / "engine.log")
    with pytest.raises(EngineStartFailed, match=r"exit status 1(.|\n)*no such model: zebra"):
        await process.start()
    assert not process.alive()


async def test_an_engine_that_is_not_ready_in_time_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('loading', flush=True); import time; time.sleep(600)"]
    process = EngineProcess(command, tmp_path / "engine.log", start_limit_s=0.5)
    with pytest.raises(EngineStartFailed, match=r"not healthy in time(.|\n)*loading"):
        await process.start()
    assert not process.alive()


async def test_progress_is_told_while_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchmill.adapters.engine_process._PROGRESS_S", 0.0)
    script = tmp_path / "script.json"
    script.write_text(Script(ready_after_s=0.6).model_dump_json())
    told: list[tuple[float, str]] = []
    process = EngineProcess([*SCRIPTED, "--script", str(script)], tmp_path / "engine.log", environment=ENVIRONMENT)
    await process.start(on_progress=lambda seconds, line: told.append((seconds, line)))
    assert told
    assert '"ready"' in told[-1][1]
    await process.stop(grace_s=0)


async def test_stopping_ends_grandchildren_that_ignore_the_signal(tmp_path: Path) -> None:
    process = EngineProcess(family(tmp_path), tmp_path / "engine.log", environment=ENVIRONMENT)
    await process.start()
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert not any(gone(pid) for pid in pids)
    await process.stop(grace_s=20)
    assert until(lambda: all(gone(pid) for pid in pids))


async def test_an_engine_that_ignores_the_signal_is_killed_after_the_grace(tmp_path: Path) -> None:
    program = (
        "import signal, http.server as h, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "class Ok(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "h.HTTPServer(('127.0.0.1', int(sys.argv[1])), Ok).serve_forever()"
    )
    process = EngineProcess([sys.executable, "-c", program, "{port}"], tmp_path / "engine.log")
    await process.start()
    assert await process.stop(grace_s=0.3) == 128 + signal.SIGKILL
    assert not process.alive()


def test_a_worker_killed_outright_takes_its_engine_along(tmp_path: Path) -> None:
    worker = f"""
        import asyncio, sys, time
        from pathlib import Path
        from batchmill.adapters.engine_process import EngineProcess
        process = EngineProcess({family(tmp_path)!r}, Path({str(tmp_path)!r}, "engine.log"))
        asyncio.run(process.start())
        print(process.pid, flush=True)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(worker)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **ENVIRONMENT}) as parent:
        assert parent.stdout is not None
        supervisor = int(parent.stdout.readline())
        pids = [supervisor, *(int(pid) for pid in (tmp_path / "pids").read_text().split())]
        assert not any(gone(pid) for pid in pids)
        parent.kill()
        assert until(lambda: all(gone(pid) for pid in pids))
