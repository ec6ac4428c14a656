"""A daemon in a process of its own, for what only a process shows: sockets, signals, files, command lines."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from xsadapter.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0


def environment(**added: str) -> dict[str, str]:
    """This process's, without what would lead to another daemon."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XENSTORED_", "NOTIFY_"))}
    return {**kept, "PYTHONPATH": str(ROOT), **added}


class Process:
    """A daemon and where it is."""

    def __init__(self, rundir: Path, process: subprocess.Popen[bytes]) -> None:
        self.rundir, self.process = rundir, process
        self.socket = rundir / "socket"

    def client(self) -> Client:
        return Client(self.socket, timeout=PATIENCE)

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.rundir / "log").read_text()

    def stop(self) -> int:
        """Ask it to end: its exit status."""
        self.process.terminate()
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def running(rundir: Path, *options: str, program: str = "xsadapter", **added: str) -> Iterator[Process]:
    """`xsadapter run`, from READY=1 on; killed at the end if it still runs."""
    rundir.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        address = rundir / "notify"
        address.unlink(missing_ok=True)
        notices.bind(str(address))
        notices.settimeout(0.05)
        verb = ["run"] if program == "xsadapter" else []
        with (rundir / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", program, *verb, "--rundir", str(rundir), *options],
                env=environment(NOTIFY_SOCKET=str(address), **added),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        made = Process(rundir, process)
        try:
            while not _ready(notices):
                if process.poll() is not None:
                    raise RuntimeError(f"ended with {process.returncode}: {made.log}")
            yield made
        finally:
            process.kill()
            process.wait(PATIENCE)


def until(so: Callable[[], bool], what: str) -> None:
    """Ask again until it is so; AssertionError if it is not in PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < deadline, f"never came: {what}"


def _ready(notices: socket.socket) -> bool:
    try:
        return notices.recv(4096) == b"READY=1"
    except TimeoutError:
        return False


def run(*words: str, **added: str) -> subprocess.CompletedProcess[str]:
    """`xsadapter ...` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "xsadapter", *words],
        env=environment(**added),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def troubles(client):
    """What the daemon says it has trouble with."""
    return [line for line in client.control("history", "info").splitlines() if line.startswith("trouble")]
