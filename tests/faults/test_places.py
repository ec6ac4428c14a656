"""Somebody removes the daemon's directory, or a part of it: it serves on, and makes it again."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from tests.compat.peers import short_directory
from tests.daemon.processes import running, until
from xsadapter.client import Client


@pytest.fixture
def place():
    with short_directory() as directory:
        yield directory


def options(run):
    return ("--rundir", str(run), "--size", "4MiB", "--keep", "last:64", "--pid-file", str(run / "pid"))


def whole(process, run):
    """Wait until all of it is there, and nobody has anything to say."""

    def so():
        try:
            with Client(run / "socket", timeout=120) as client:
                told = client.control("history", "info")
        except OSError:
            return False
        there = {each.name for each in run.iterdir()}
        return (
            "trouble" not in told
            and {"socket", "pid", "state", "keeper", "history.rrdb"} <= there
            and (run / "pid").read_text() != ""  # It is made, and then the number is written.
        )

    until(so, f"its places: {process.log}")


HARMS = {
    "all of it": shutil.rmtree,
    "the socket": lambda run: (run / "socket").unlink(),
    "the pid file": lambda run: (run / "pid").unlink(),
    "what is written down": lambda run: (run / "state").unlink(),
    "the keeper's place": lambda run: (run / "keeper").unlink(),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_it_is_there_again_and_nobody_who_was_there_notices(place, harm):
    run = place / "run"
    with running(place / "log", *options(run)) as served, Client(run / "socket", timeout=120) as client:
        watch = client.watch("/a")
        assert next(watch) == "/a"
        client.write("/a", b"before")
        assert next(watch) == "/a"
        harm(run)
        client.write("/a", b"after")
        assert next(watch) == "/a"
        whole(served, run)
        assert (run / "pid").read_text() == f"{served.process.pid}\n"
        assert ((run / "socket").stat().st_mode & 0o777, Path(run).stat().st_mode & 0o777) == (0o600, 0o755)
        client.write("/b", b"last")
        with Client(run / "socket", timeout=120) as other:
            # Who is in a system call when it is killed ends; so it is this one.
            other.read("/b")
        served.process.kill()
        served.process.wait()
        with running(place / "log", *options(run)) as again:
            assert (client.read("/a"), client.read("/b")) == (b"after", b"last")
            client.write("/a", b"again")
            assert next(watch) == "/a"
            with Client(run / "socket", timeout=120) as other:
                assert other.read("/a") == b"again"
            assert again.stop() == 0


def test_a_place_that_another_has_taken_is_left_to_him(place):
    run = place / "run"
    with running(place / "log", *options(run)) as served, Client(run / "socket", timeout=120) as client:
        (run / "socket").unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(run / "socket"))
            other.listen()
            until(lambda: "a daemon that listens there" in served.log, "that it is said")
            assert "a daemon that listens there" in client.control("history", "info")
        whole(served, run)
        assert client.list("/") == ["tool"]
        assert served.stop() == 0
        assert not (run / "socket").exists()
