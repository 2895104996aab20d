"""`make local-invoke`: every built function on its sample event, in the container that SAM runs functions in.

What they call is the embedded stack, deployed beside them; a forwarder stands where containers see this machine.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from batchmill.commands.embedded import LOCAL_PARAMETERS
from batchmill.local.host import Deployment, Host
from batchmill.local.stack import Stack, StackOptions
from batchmill.local.translate import read_template
from building import artifacts
from building.__main__ import OUT, PROJECT, say, this_machine
from building.artifacts import Artifact

_BROKEN = ("Runtime.", "ImportError", "ModuleNotFoundError", "Sandbox.")


def main() -> int:
    """Exit status: 0 where every function answered or there is no container engine, 1 where one did not come up."""
    options = argparse.ArgumentParser(prog="python -m building.invoking", description=__doc__)
    options.add_argument("--sam", type=Path, default=PROJECT / ".venv-sam/bin/sam")
    sam = options.parse_args().sam
    gateway = container_gateway()
    if gateway is None:
        say("skipped: no container engine")
        return 0
    build = next((folder for folder in (OUT / "host", OUT / "build") if folder.is_dir()), None)
    if build is None:
        say("local-invoke needs what `make build` leaves")
        return 1
    failed = 0
    stack = Stack(StackOptions(PROJECT / "template.yaml", LOCAL_PARAMETERS, workers=0))
    try:
        deployment = stack.start()
        with forwarded(gateway, urlsplit(stack.endpoint_url).port or 0) as endpoint:
            template = local_template(build, stack.host, deployment, endpoint)
            for artifact in artifacts.read(build):
                failed += not answered(artifact.name, invoke(sam, template, artifact))
    finally:
        stack.stop()
    return 1 if failed else 0


def container_gateway() -> str | None:
    """The address of this machine as containers see it; None without an engine that answers."""
    if shutil.which("docker") is None:
        return None
    asked = ["docker", "network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    [network, *_] = json.loads(done.stdout)
    # An older engine names the subnet alone: the bridge has its first address.
    return str(network.get("Gateway") or next(ipaddress.ip_network(network["Subnet"]).hosts()))


def local_template(build: Path, host: Host, deployment: Deployment, endpoint: str) -> Path:
    """The built template beside itself, with each function's variables as the embedded stack has them."""
    document = read_template(build / "template.yaml")
    for name, resource in document["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            deployed = host.functions.spec(deployment.resources[name]).environment
            resource["Properties"]["Environment"] = {"Variables": {**deployed, "AWS_ENDPOINT_URL": endpoint}}
    document["Globals"]["Function"].pop("Environment", None)
    document["Parameters"]["Architecture"]["Default"] = this_machine()  # the containers' and so the image's
    path = build / "local.yaml"
    path.write_text(json.dumps(document))  # JSON is YAML
    return path


def invoke(sam: Path, template: Path, artifact: Artifact) -> str:
    """What one function answers to its sample event: the last line of SAM's output."""
    event = PROJECT / "events" / f"{artifact.module}.json"
    command = [str(sam), "local", "invoke", artifact.name, "--template", str(template), "--event", str(event)]
    command += ["--skip-pull-image", "--region", "us-east-1"]
    with tempfile.TemporaryDirectory() as home:
        keys = {"AWS_ACCESS_KEY_ID": "batchmill", "AWS_SECRET_ACCESS_KEY": "local", "SAM_CLI_TELEMETRY": "0"}
        environment = {**os.environ, **keys, "HOME": home}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    return (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]


def answered(name: str, answer: str) -> bool:
    """Tell what came back. An error of ours is an answer too: sample events are of batches that are not there."""
    try:
        value = json.loads(answer)
    except ValueError:
        say(f"FAILED: {name}: {answer}")
        return False
    kind = str(value.get("errorType", "")) if isinstance(value, dict) else ""
    text = f"{kind}: {value['errorMessage']}" if kind else json.dumps(value)
    say(f"{'FAILED: ' if kind.startswith(_BROKEN) else '  '}{name:20} {text[:200]}")
    return not kind.startswith(_BROKEN)


@contextmanager
def forwarded(host: str, port: int) -> Iterator[str]:
    """An endpoint at `host` whose connections go to `port` of this machine's loopback.

    Raises SystemExit where this machine has no such address.
    """
    try:
        server = socket.create_server((host, 0))
    except OSError as error:
        raise SystemExit(f"the container engine's network is not up, start the engine again: {error}") from None
    with server:
        threading.Thread(target=_accept, args=(server, port), daemon=True).start()
        try:
            yield f"http://{host}:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits in accept


def _accept(server: socket.socket, port: int) -> None:
    while True:
        try:
            inward, _ = server.accept()
        except OSError:
            return  # closed: the end
        threading.Thread(target=_carry, args=(inward, port), daemon=True).start()


def _carry(inward: socket.socket, port: int) -> None:
    with inward, socket.create_connection(("127.0.0.1", port)) as outward:
        back = threading.Thread(target=_pump, args=(outward, inward), daemon=True)
        back.start()
        _pump(inward, outward)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other side has gone


if __name__ == "__main__":
    sys.exit(main())
