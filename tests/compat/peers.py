"""The daemons that compat tests and benches talk to: Debian's C and OCaml xenstored, and ours.

Each runs in a process of its own on a directory of its own, its socket at DIR/socket, and is killed at the end: the
stock OCaml daemon would dump its store for the next one to read if it were asked to stop. The stock daemons run on
a stand-in for Xen (fakexen.c), compiled by install.sh.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

HERE = Path(__file__).parent
XEN = Path("/usr/lib/xen-4.17/bin")
CACHE = Path(
    os.environ.get("RRDSTORE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rrdstore",
)
FAKEXEN = Path(os.environ.get("FAKEXEN_SO") or CACHE / "fakexen.so")
TEST_XENSTORE = XEN / "test-xenstore"
PROGRAMS = Path(sys.executable).parent  # where rrdstore and xsadapter are installed
SYSTEM_PYTHON = Path("/usr/bin/python3")  # Debian's pyxs is installed for this one

PATIENCE = 120.0  # seconds until a daemon that does not answer is given up; it takes a fraction of one

READ = 2
FRAME = struct.Struct("<4I")  # operation, request, transaction, length


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that answers."""

    name: str
    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.directory / "socket"

    @property
    def pid(self) -> int:
        """Of the daemon itself: the scripts that start it exec it."""
        return self.process.pid

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with what stock clients need to find the daemon."""
        return {**os.environ, "XENSTORED_PATH": str(self.socket), "XENSTORED_RUNDIR": str(self.directory)}

    def connect(self) -> socket.socket:
        """A connected, blocking stream socket."""
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stream.connect(str(self.socket))
        except OSError:
            stream.close()
            raise
        return stream

    def run(self, *command: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """A stock client on this daemon, to its end."""
        return subprocess.run(
            [str(word) for word in command],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Ask it to end and wait: its exit status."""
        self.process.send_signal(with_signal)
        return self.process.wait(PATIENCE)


def missing(*needed: str | Path) -> str:
    """What of `needed` is not there, as a reason for skipping; empty if all is. A str is a program, or "pyxs"."""
    absent = [str(what) for what in needed if not _there(what)]
    return f"not installed: {', '.join(absent)} (tests/compat/install.sh)" if absent else ""


def need(*needed: str | Path) -> None:
    """Skip the test with a reason unless all of `needed` is there; with CI=true that is a failure."""
    if reason := missing(*needed):
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def _there(what: str | Path) -> bool:
    if what == "pyxs":
        found = subprocess.run([SYSTEM_PYTHON, "-c", "import pyxs"], capture_output=True, check=False)
        return found.returncode == 0
    return what.exists() if isinstance(what, Path) else shutil.which(what) is not None


C_NEEDS = (XEN / "xenstored", FAKEXEN)
OX_NEEDS = (XEN / "oxenstored", Path("/etc/xen/oxenstored.conf"), FAKEXEN)


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's name: a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="xs", ignore_cleanup_errors=True) as name:
        yield Path(name)


def c_xenstored(directory: Path, *options: str) -> AbstractContextManager[Daemon]:
    """Debian's C xenstored."""
    return answering("C", directory, str(HERE / "run_c.sh"), str(directory), *options)


def ox_xenstored(directory: Path, *options: str) -> AbstractContextManager[Daemon]:
    """Debian's OCaml xenstored."""
    return answering("OCaml", directory, str(HERE / "run_ox.sh"), str(directory), *options)


@contextlib.contextmanager
def answering(name: str, directory: Path, *command: str) -> Iterator[Daemon]:
    """Any that listens at DIR/socket, from the moment it answers a READ."""
    with _running(name, directory, [*command]) as daemon:
        _until(daemon, _answers)
        yield daemon


@contextlib.contextmanager
def our_xenstored(
    directory: Path, *options: str, name: str = "rrdstore", program: str = "xsadapter"
) -> Iterator[Daemon]:
    """Ours, or a module that runs it, from the moment it says that it is ready."""
    command = [sys.executable, "-m", program, "run", "--rundir", str(directory), *options]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        (directory / "notify").unlink(missing_ok=True)
        notices.bind(str(directory / "notify"))
        notices.settimeout(0.05)
        with _running(name, directory, command, NOTIFY_SOCKET=str(directory / "notify")) as daemon:
            _until(daemon, lambda _: _ready(notices))
            yield daemon


@contextlib.contextmanager
def _running(name: str, directory: Path, command: list[str], **environment: str) -> Iterator[Daemon]:
    """`command` in the foreground of a session of its own, its output in DIR/log, killed at the end."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("XENSTORED_")}
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**inherited, "FAKEXEN_SO": str(FAKEXEN), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Daemon(name, directory, process)
    finally:
        process.kill()
        process.wait(PATIENCE)


def _until(daemon: Daemon, ready: Callable[[Daemon], bool]) -> None:
    """Return when the daemon is `ready`; raise with its log if it ends before, or if patience does."""
    give_up = time.monotonic() + PATIENCE
    while not ready(daemon):
        ended = daemon.process.poll()
        if ended is not None or time.monotonic() > give_up:
            how = "does not answer" if ended is None else f"ended with status {ended}"
            log = (daemon.directory / "log").read_text(errors="replace")
            raise RuntimeError(f"the {daemon.name} daemon {how}:\n{log}")


def _answers(daemon: Daemon) -> bool:
    """Whether a READ gets an answer, any. Waits a moment if nobody listens yet, so it may be asked again at once."""
    try:
        with daemon.connect() as stream:
            stream.settimeout(PATIENCE)
            stream.sendall(FRAME.pack(READ, 0, 0, 2) + b"/\0")
            return bool(stream.recv(1))
    except OSError:
        time.sleep(0.005)  # there is nothing to wait on: the stock daemons tell nobody that they are ready
        return False


def _ready(notices: socket.socket) -> bool:
    """Whether READY=1 is among the notices; waits for one as long as the socket's timeout."""
    try:
        return b"READY=1" in notices.recv(4096).split(b"\n")
    except TimeoutError:
        return False
