"""The daemon under who starts hosts' daemons: systemd, as far as its manual says, and a script like launch-xenstore."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.compat.peers import short_directory
from tests.daemon.processes import PATIENCE, environment
from tests.daemon.service_manager import ServiceManager
from xsadapter.cli.unit import unit
from xsadapter.client import Client

PROGRAMS = Path(sys.executable).parent
SMALL = ("--size", "8MiB", "--keep", "last:8")


@pytest.fixture
def manager():
    with short_directory() as directory:
        made = ServiceManager(directory)
        yield made
        made.close()


def test_systemd_keeps_the_sockets_of_a_daemon_that_is_killed(manager):
    words = ("xsadapter.cli.xenstored", "-N", "--rundir", str(manager.directory), *SMALL)
    manager.start(*words)
    with Client(manager.directory / "socket", timeout=PATIENCE) as first, first.watch("/a") as watch:
        assert next(watch) == "/a"
        with Client(manager.directory / "socket", timeout=PATIENCE) as gone:
            gone.write("/a", b"1")
        assert next(watch) == "/a"
        for number in range(2):
            # Who is inside a system call when it is killed is in doubt, and ends: that is to be nobody who matters.
            with Client(manager.directory / "socket", timeout=PATIENCE) as last:
                last.read("/a")
            manager.kill()
            assert len(manager.kept) == 2, "the listening socket, and the client's"
            manager.start(*words)
            with Client(manager.directory / "socket", timeout=PATIENCE) as second:
                second.write("/a/b", b"%d" % number)
                # Changes that may not have been told are told again.
                while next(watch) != "/a/b":
                    pass
                assert first.read("/a/b") == b"%d" % number
    assert not (manager.directory / "keeper").exists()
    manager.process.terminate()
    manager.until("STOPPING", "1")
    assert manager.process.wait(PATIENCE) == 0
    manager.drain()
    assert manager.kept == []


def test_systemd_is_told_of_life_and_of_live_updates(manager):
    words = ("xsadapter.cli.xenstored", "-N", "--rundir", str(manager.directory), *SMALL)
    manager.start(*words, WATCHDOG_USEC="1000000")
    for _ in range(2):
        manager.until("WATCHDOG", "1")
    with Client(manager.directory / "socket", timeout=PATIENCE) as client:
        client.write("/a", b"1")
        manager.drain()
        before = time.monotonic_ns() // 1000
        done = subprocess.run(
            [PROGRAMS / "xsadapter", "control", "live-update", PROGRAMS / "xsadapter-xenstored"],
            env=environment(XENSTORED_PATH=str(manager.directory / "socket")),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        reloading = manager.until("RELOADING", "1")
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        manager.until("READY", "1")
        manager.until("WATCHDOG", "1")
        assert client.read("/a") == b"1"


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("not installed: systemd-analyze")
    place = tmp_path / "xenstored.service"
    place.write_text(unit(PROGRAMS, "--size 256MiB"))
    done = subprocess.run(
        [program, "verify", "--man=no", place], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "xenstored" in line]
    assert (done.returncode, ours) == (0, [])
