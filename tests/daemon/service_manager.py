"""A service manager as systemd is one: datagrams, a store of descriptors, and a service that is started with them.

What its manual pages promise (sd_notify, sd_listen_fds, sd_pid_notify_with_fds) and a daemon depends on: a name has at
most 255 characters and no colon, a descriptor that is there already is not kept twice, one that has hung up is dropped,
a name is removed with all that it names, more than the store may hold are closed; at the next start they are
descriptors from 3 on, in order, for the process that $LISTEN_PID says.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.daemon.processes import PATIENCE, environment

if TYPE_CHECKING:
    from pathlib import Path

_FREE = 50
_NAME_MAX = 255
_LAUNCHER = """
import os, sys
given = os.environ.pop("GIVEN")
for number, held in enumerate(map(int, given.split(",")) if given else ()):
    os.dup2(held, 3 + number)
    os.close(held)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])
"""


class ServiceManager:
    """One service's. `said` is what it has told so far, but for descriptors."""

    def __init__(self, directory: Path, most: int = 512) -> None:
        self.directory, self._most = directory, most
        self.said: list[dict[str, str]] = []
        self.kept: list[tuple[str, int]] = []
        self.process: subprocess.Popen[bytes] | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / "notify"))

    def start(self, *words: str, **added: str) -> None:
        """The service's program, with all that is kept; until it has said READY=1."""
        given = [(name, fcntl.fcntl(held, fcntl.F_DUPFD, _FREE)) for name, held in self.kept]
        listening = {"LISTEN_FDS": str(len(given)), "LISTEN_FDNAMES": ":".join(name for name, _ in given)}
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _LAUNCHER, *words],
                env=environment(
                    NOTIFY_SOCKET=str(self.directory / "notify"),
                    FDSTORE=str(self._most),
                    **(listening if given else {}),
                    GIVEN=",".join(str(held) for _, held in given),
                    **added,
                ),
                pass_fds=[held for _, held in given],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        for _, held in given:
            os.close(held)
        self.until("READY", "1")

    def until(self, key: str, value: str | None = None) -> dict[str, str]:
        """The next message that says so; AssertionError if none comes."""
        deadline = time.monotonic() + PATIENCE
        while True:
            ready = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))[0]
            assert ready, f"{key} was never said: {self.said}\n{(self.directory / 'log').read_text()}"
            message = self._take()
            if key in message and value in {None, message[key]}:
                return message

    def drain(self) -> None:
        """All that was said by now."""
        while select.select([self._socket], [], [], 0)[0]:
            self._take()

    def _take(self) -> dict[str, str]:
        data, descriptors, _, _ = socket.recv_fds(self._socket, 4096, 16)
        message = dict(line.split("=", 1) for line in data.decode().splitlines())
        if message.get("FDSTORE") == "1":
            for held in descriptors:
                self._keep(message.get("FDNAME", "stored"), held)
        elif message.get("FDSTOREREMOVE") == "1":
            for name, held in self.kept:
                if name == message["FDNAME"]:
                    os.close(held)
            self.kept = [(name, held) for name, held in self.kept if name != message["FDNAME"]]
        else:
            assert not descriptors
        self.said.append(message)
        return message

    def _keep(self, name: str, held: int) -> None:
        assert 0 < len(name) <= _NAME_MAX
        assert ":" not in name
        assert name.isprintable()
        there = {(os.fstat(other).st_dev, os.fstat(other).st_ino) for _, other in self.kept}
        status = os.fstat(held)
        if (status.st_dev, status.st_ino) in there or len(self.kept) >= self._most:
            os.close(held)
        else:
            self.kept.append((name, held))

    def hung_up(self) -> None:
        """Drop what has hung up, as systemd does by itself."""
        poll = select.poll()
        for _, held in self.kept:
            poll.register(held, 0)
        gone = {held for held, events in poll.poll(0) if events & (select.POLLHUP | select.POLLERR)}
        for held in gone:
            os.close(held)
        self.kept = [(name, held) for name, held in self.kept if held not in gone]

    def kill(self) -> None:
        """The service's process is killed."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)
        self.drain()
        self.hung_up()

    def close(self) -> None:
        """End all."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
        for _, held in self.kept:
            os.close(held)
        self._socket.close()
