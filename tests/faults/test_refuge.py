"""A store that cannot be used: the host has a xenstored all the same, nothing is overwritten, and all of it is told."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from random import Random

import pytest

from tests.daemon.processes import run, running, troubles, until
from tests.faults.disks import tmpfs

SIZE = 4 << 20


@pytest.fixture
def disk(rundir):
    with tmpfs(rundir.parent / "disk", "12m") as disk:
        yield disk


def daemon(rundir, path, *options):
    return running(rundir, "--size", "4MiB", "--keep", "last:64 1s:1m", "--store", str(path), *options)


def filled(rundir, path, *, killed=True):
    """A store as a daemon leaves it: what that was told, by path."""
    told = {f"/local/domain/{number}/name": b"web%d" % number for number in range(1, 200)}
    with daemon(rundir, path) as first, first.client() as client:
        for name, value in told.items():
            client.write(name, value)
        first.process.kill() if killed else first.stop()
    return told


def flipped(path):
    """One bit in each of some places, of the file that says what it is first."""
    data, random = bytearray(path.read_bytes()), Random(4)
    data[3] ^= 8
    for _ in range(20):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    path.write_bytes(data)


def newer(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def cut(path):
    os.truncate(path, 9000)


@pytest.mark.parametrize(
    ("damage", "kept", "said"),
    [
        (flipped, "-damaged", "was damaged and is mended"),
        (cut, "-damaged", ""),
        (newer, "-aside", "found format 99, expected format 2, 3, 4 or 5"),
    ],
)
def test_a_store_that_is_damaged_or_not_of_this_version_stays_beside_the_one_that_takes_its_place(
    rundir, damage, kept, said
):
    path = rundir / "history.rrdb"
    told = filled(rundir, path, killed=False)
    damage(path)
    before = path.read_bytes()
    refused = run("run", "--rundir", str(rundir), "--strict")
    assert refused.returncode == 1
    assert path.read_bytes() == before
    with daemon(rundir, path) as second, second.client() as client:
        aside = [name for name in rundir.glob("history.rrdb-*") if name.read_bytes() == before]
        assert len(aside) == 1
        assert kept in aside[0].name or not said
        assert aside[0].name in second.log
        assert said in second.log
        if damage is flipped:
            assert {name: client.read(name) for name in told} == told
        client.write("/a", b"1")
        assert troubles(client) == []
        second.stop()
    with daemon(rundir, path) as third, third.client() as client:
        assert client.read("/a") == b"1"
        third.stop()


def test_a_file_that_is_no_store_is_not_touched_and_the_store_is_begun_when_it_has_gone(rundir):
    path = rundir.parent / "store"
    path.write_bytes(b"precious" * 999)
    with daemon(rundir, path) as served, served.client() as client:
        assert "no SQLite database: serving from memory" in served.log
        assert "lost-by-a-kill 1\n" in client.control("metrics")
        client.write("/a", b"1")
        assert path.read_bytes() == b"precious" * 999
        path.unlink()
        until(lambda: not troubles(client), "a store")
        assert "lost from history" in served.log
        served.process.kill()
    with daemon(rundir, path) as again, again.client() as client:
        assert client.read("/a") == b"1"
        again.stop()


def test_on_a_file_system_that_is_read_only_it_goes_on_with_the_tree_and_returns(rundir, disk):
    path = disk.path / "store"
    told = filled(rundir, path)
    disk.remount("ro")
    refused = run("run", "--rundir", str(rundir), "--store", str(path), "--strict")
    assert refused.returncode == 1
    assert "Read-only file system" in refused.stderr
    with daemon(rundir, path) as second, second.client() as client:
        assert {name: client.read(name) for name in told} == told
        client.write("/a", b"while it is read-only")
        with client.transaction() as unused:
            pass
        number = int(client.ask(6, b"\0").rstrip(b"\0"))
        client.ask(2, b"/a\0", number)
        disk.remount("rw")
        until(lambda: not troubles(client), "its return")
        assert client.ask(7, b"T\0", number) == b"OK\0"
        assert client.read("/a") == b"while it is read-only"
        client.write("/b", b"after it")
        assert unused.number
        second.process.kill()
    with daemon(rundir, path) as third, third.client() as client:
        assert (client.read("/a"), client.read("/b")) == (b"while it is read-only", b"after it")
        assert {name: client.read(name) for name in told} == told
        assert third.stop() == 0


def test_a_file_system_that_vanishes_under_it_takes_history_and_not_the_tree(rundir, disk):
    path = disk.path / "store"
    with daemon(rundir, path) as first, first.client() as client:
        watch = client.watch("/a")
        assert next(watch) == "/a"
        client.write("/a", b"before")
        assert next(watch) == "/a"
        disk.vanish()
        client.write("/b", b"after")
        until(lambda: "lost from history" in first.log, "another store in its place")
        assert client.read("/a") == b"before"
        client.write("/a", b"later")
        assert next(watch) == "/a"
        first.process.kill()
    with daemon(rundir, path) as second, second.client() as client:
        assert (client.read("/a"), client.read("/b")) == (b"later", b"after")
        second.stop()
    Path(path).unlink()


def test_where_no_store_can_be_made_it_serves_from_memory_and_says_at_its_end_what_is_lost(rundir, disk):
    disk.fill()
    path = disk.path / "store"
    with daemon(rundir, path) as served, served.client() as client:
        client.write("/a", b"1")
        assert client.read("/a") == b"1"
        assert "serving from memory, with a fresh tree" in served.log
        assert "No space left" in troubles(client)[0]
        assert served.stop() == 1
        assert "what was changed in memory is lost" in served.log
        assert "everything is stored" not in served.log


def test_told_to_end_on_a_full_disk_it_says_that_the_journal_has_the_rest(rundir, disk):
    path = disk.path / "store"
    with daemon(rundir, path) as served, served.client() as client:
        client.write("/a", b"0")
        until(lambda: "commits-unstored 0\n" in client.control("metrics"), "a tick")
        disk.fill()
        client.write("/a", b"1")

        def fails():
            # A tick that needs no more of the log than one before, which it may on a slow machine, is no failure.
            if "commits-unstored 0\n" in client.control("metrics"):
                for number in range(12):
                    client.write(f"/more/{number}", b"m" * 2000)
            return "held by the file system" in served.log

        until(fails, "a tick that fails")
        assert troubles(client) == [line for line in troubles(client) if "changes are journalled" in line] != []
        assert served.stop() == 0
        assert "the journal has what is not stored" in served.log
    disk.empty()
    with daemon(rundir, path) as again, again.client() as client:
        assert client.read("/a") == b"1"
        again.stop()


def test_another_daemons_store_is_left_to_it(rundir):
    path = rundir / "history.rrdb"
    with daemon(rundir, path) as first:
        refused = run("run", "--rundir", str(rundir.parent / "other"), "--store", str(path))
        assert refused.returncode == 1
        assert f"written by process {first.process.pid}" in refused.stderr
        first.stop()


def test_killed_while_changes_are_in_memory_only_it_is_what_the_journal_had_and_clients_know(rundir, disk):
    path = disk.path / "store"
    with daemon(rundir, path) as served, served.client() as client:
        until(lambda: "commits-unstored 0\n" in client.control("metrics"), "a tick")
        disk.fill()
        random = Random(1)
        for number in range(600):
            client.write(f"/a/{number}", random.randbytes(1000))
        until(lambda: "in memory only" in "".join(troubles(client)), "the journal's end")
        assert "lost-by-a-kill 1\n" in client.control("metrics")
        until(lambda: not (rundir / "state").exists(), "that nobody is to go on")
        served.process.kill()
        disk.empty()
        with daemon(rundir, path) as again, again.client() as other:
            assert 0 < len(other.list("/a")) < 600
            with pytest.raises(OSError, match=r"closed|reset|Broken"):
                client.read("/a")
            again.stop()


def test_told_to_end_in_the_midst_of_a_tick_it_stores_everything(rundir):
    path = rundir / "history.rrdb"
    with daemon(rundir, path) as served, served.client() as client:
        with client.pipeline() as pipe:
            for number in range(3000):
                pipe.write(f"/a/{number}", b"%d" % number)
        until(lambda: slices(client) > 1, "a tick")
        assert "commits-unstored 0\n" not in client.control("metrics")
        assert served.stop() == 0
        assert "everything is stored" in served.log
    with daemon(rundir, path) as again, again.client() as client:
        assert len(client.list("/a")) == 3000
        again.stop()


def slices(client):
    lines = client.control("metrics").splitlines()
    return sum(map(int, next(line for line in lines if line.startswith("tick-slice")).split()[3:]))
