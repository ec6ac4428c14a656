"""What is beside the tree cannot be written down: the daemon serves on, says so, and writes it down when it can."""

from __future__ import annotations

import pytest

from tests.compat.peers import short_directory
from tests.daemon.processes import running, until
from tests.faults.disks import tmpfs

OPTIONS = ("--size", "4MiB", "--keep", "last:64 1s:1m")


@pytest.fixture
def disk():
    with short_directory() as directory, tmpfs(directory / "d", "16m") as disk:
        yield disk


def trouble(client):
    return [line for line in client.control("history", "info").splitlines() if line.startswith("trouble")]


def killed(daemon):
    """Kill it when the call that sent the last answer has surely returned: another client has one from after it."""
    with daemon.client() as other:
        other.exists("/a")
        daemon.process.kill()


def burdened(client):
    """Watches until there is no room for what is to be written down of them."""
    for number in range(100):
        client.watch(f"/{number}" + "x" * 1000)
        if trouble(client):
            return
    raise AssertionError("there was always room")


def test_on_a_full_disk_it_serves_on_and_says_so_and_goes_on_with_everything_once_there_is_room(disk):
    with running(disk.path, *OPTIONS) as first, first.client() as client:
        watch = client.watch("/a")
        assert next(watch) == "/a"
        disk.fill()
        burdened(client)
        assert "state cannot be written (No space left on device)" in trouble(client)[0]
        assert not (disk.path / "state").exists()
        assert "troubles 1\n" in client.control("metrics")
        with first.client() as other:
            other.write("/a", b"while it is full")
        assert next(watch) == "/a"
        disk.empty()
        until(lambda: not trouble(client), "what is written down again")
        killed(first)
        assert "goes on with everything" in first.log
        with running(disk.path, *OPTIONS) as second, second.client() as other:
            other.write("/a", b"after the kill")
            assert next(watch) == "/a"
            assert client.read("/a") == b"after the kill"
            second.stop()


def test_killed_meanwhile_the_tree_is_as_it_was_and_clients_have_ended(disk):
    with running(disk.path, *OPTIONS) as first, first.client() as client:
        disk.fill()
        burdened(client)
        client.write("/a", b"acknowledged")
        first.process.kill()
        disk.empty()
        with running(disk.path, *OPTIONS) as second, second.client() as other:
            assert other.read("/a") == b"acknowledged"
            with pytest.raises(OSError, match=r"closed|reset|Broken"):
                client.read("/a")
            second.stop()


def test_started_on_a_full_disk_it_serves_all_the_same(disk):
    with running(disk.path, *OPTIONS, "--store", str(disk.path.parent / "s.rrdb")) as first, first.client() as client:
        client.write("/a", b"1")
        first.stop()
    disk.fill()
    with running(disk.path, *OPTIONS, "--store", str(disk.path.parent / "s.rrdb")) as second, second.client() as client:
        assert client.read("/a") == b"1"
        assert "No space left on device" in trouble(client)[0]
        client.write("/a", b"2")
        disk.empty()
        until(lambda: not trouble(client), "what is written down again")
        killed(second)
        with running(disk.path, *OPTIONS, "--store", str(disk.path.parent / "s.rrdb")) as third:
            assert client.read("/a") == b"2"
            third.stop()
