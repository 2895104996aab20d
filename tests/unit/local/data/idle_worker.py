"""A worker for the deployer's and the tasks' tests: says what it was given, then waits to be told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def say(line: str) -> None:
    """Writes a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Writes `KEY=value` of its own variables and `ready`; ends 0 on SIGTERM, or as its argument says."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else lambda *_: ended.set())
    for name in ("QUEUE_URL", "TABLE", "TOKEN", "EXTRA", "AWS_ENDPOINT_URL"):
        say(f"{name}={os.environ.get(name, '')}")
    if "crash" in sys.argv:
        sys.exit(3)
    if "child" in sys.argv:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        say(f"child={child.pid}")
    say("ready")
    while not ended.wait(0.05):
        pass
    say("bye")


if __name__ == "__main__":
    main()
