"""A real file system that breaks under a daemon: it lets go of it, so that it can be mended, and returns."""

from __future__ import annotations

from random import Random

import pytest

from tests.compat.peers import short_directory
from tests.daemon.processes import running, troubles, until
from tests.faults.disks import ext4


@pytest.fixture
def disk():
    with short_directory() as directory, ext4(directory / "disk", "64M") as disk:
        yield disk


def test_a_file_system_that_is_read_only_after_an_error_is_let_go_of_mended_and_used_again(disk):
    rundir = disk.path.parent / "run"
    options = ("--size", "16MiB", "--store", str(disk.path / "store"))
    with running(rundir, *options) as served, served.client() as client:
        client.write("/a", b"before")
        until(lambda: "commits-unstored 0\n" in client.control("metrics"), "a tick")
        disk.remount("abort")
        random = Random(1)
        for number in range(1500):
            client.write(f"/b/{number % 100}", random.randbytes(1000))
        last = client.read("/b/99")
        until(lambda: "in memory:" in "".join(troubles(client)), "that it is let go of")
        assert client.read("/a") == b"before"
        disk.mended()
        until(lambda: not troubles(client), "its return")
        served.process.kill()
    with running(rundir, *options) as again, again.client() as client:
        assert client.read("/a") == b"before"
        assert client.read("/b/99") == last
        assert again.stop() == 0
