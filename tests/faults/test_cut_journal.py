"""Somebody cuts or removes the journal, or SQLite's index of its log: the daemon goes on, and the store is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import rrdstore
from tests.daemon.processes import running, troubles, until

OPTIONS = ("--size", "8MiB", "--keep", "last:64 1s:1m")


@pytest.mark.parametrize(
    ("harm", "end"),
    [
        (lambda ring: os.truncate(ring, 0), "ring"),
        (lambda ring: os.truncate(ring, 4096), "ring"),
        (lambda ring: ring.unlink(), "ring"),
        (lambda index: os.truncate(index, 0), "shm"),
        (lambda index: os.truncate(index, 4096), "shm"),
        (lambda index: index.unlink(), "shm"),
    ],
    ids=["all of it", "behind its head", "removed", "all of the index", "behind the index's head", "the index removed"],
)
def test_it_goes_on_and_everything_is_in_the_store_again(rundir, harm, end):
    path = rundir / "history.rrdb"
    ring = rundir / "history.rrdb-ring"
    with running(rundir, *OPTIONS) as served, served.client() as client:
        watch = client.watch("/b")
        assert next(watch) == "/b"
        for number in range(50):
            client.write(f"/a/{number}", b"before")
        assert ring.stat().st_size == 262144
        harm(rundir / f"history.rrdb-{end}")
        for number in range(50):
            client.write(f"/b/{number}", b"after")
        until(lambda: "lost from history" in served.log, "another journal")
        assert f"-{end} is not in its place any more" in served.log
        assert troubles(client) == []
        assert [next(watch) for _ in range(50)] == [f"/b/{number}" for number in range(50)]
        client.write("/c", b"last")
        served.process.kill()
    with running(rundir, *OPTIONS) as again, again.client() as client:
        assert (len(client.list("/a")), len(client.list("/b")), client.read("/c")) == (50, 50, b"last")
        assert again.stop() == 0
    with rrdstore.open(str(path), readonly=True) as store:
        assert store.check() == []


def test_a_guard_ends_with_what_it_guards(tmp_path):
    """What is mapped by somebody else is guarded until the guard is closed; then a fault is the end, as ever."""
    program = """
import mmap, os, sys
from xsadapter.transport.page import Guard
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(descriptor, 8192)
theirs = mmap.mmap(descriptor, 8192)
guard = Guard(os.path.realpath(sys.argv[1]))
assert guard.pages == 2 and not guard.vanished
os.ftruncate(descriptor, 0)
theirs[4096:4100] = b"mine"
assert theirs[4096:4100] == b"mine" and guard.vanished
guard.close()
print("alive", flush=True)
theirs[0]
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a file")], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("alive\n", -signal.SIGBUS)
