"""A store that is damaged under a daemon that serves: it serves on, with all that is whole, and the file is kept."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import pytest

import rrdstore
from tests.compat import peers
from tests.daemon.processes import running, troubles, until
from xsadapter import tools
from xsadapter.errors import RequestError

OPTIONS = ("--size", "8MiB", "--keep", "last:64 1s:1m")
ILL = 100
"""Not among the first or last, whose pages an opening may read."""
MENDED = "was damaged and is mended"


def told(number):
    return f"/local/domain/{number}/data", Random(number).randbytes(3000)


def fill(client):
    """Values that lie in objects of their own, in a tree that is stored."""
    for number in range(1, 200):
        client.write(*told(number))
    until(lambda: "commits-unstored 0\n" in client.control("metrics"), "a tick")


def flip(path, value):
    """One bit in every place of the files where this value is, in its middle; how many."""
    done = 0
    for place in filter(Path.exists, (path, path.with_name(f"{path.name}-wal"))):
        data, at, some = place.read_bytes(), -1, value[1500:1516]
        while (at := data.find(some, at + 1)) >= 0:
            with place.open("r+b") as file:  # Where it lies, as a disk does it; no other byte is written.
                file.seek(at)
                file.write(bytes([data[at] ^ 4]))
            done += 1
    return done


def answers(client, numbers):
    """What each place has; None for nothing there."""
    with client.pipeline(keep_errors=True) as pipe:
        asked = [pipe.read(told(number)[0]) for number in numbers]
    return {number: value(one) for number, one in zip(numbers, asked, strict=True)}


def value(answer):
    try:
        return answer.get()
    except RequestError:
        return None


@pytest.fixture
def unread(rundir):
    """A daemon whose tree is in the file alone, as after a live update, and a client."""
    with running(rundir, *OPTIONS) as served, served.client() as client:
        fill(client)
        said = io.BytesIO()
        words = ["live-update", str(peers.PROGRAMS / "xsadapter")]
        assert tools.run("control", words, said, said, called="test", socket=served.socket) == 0, said.getvalue()
        until(lambda: "commits-unstored 0\n" in client.control("metrics"), "a tick")
        yield served, client
        assert served.process.poll() is not None or served.stop() == 0
    assert rrdstore.open(str(rundir / "history.rrdb"), readonly=True).check() == []


def mended(served, client):
    with pytest.raises(Exception, match="EIO"):
        client.read(told(ILL)[0])
    until(lambda: MENDED in served.log, "that it is mended")
    until(lambda: not troubles(client), "that it is in use")


def test_what_is_met_on_disk_is_set_aside_and_all_else_is_there(unread, rundir):
    served, client = unread
    path = rundir / "history.rrdb"
    with client.watch(told(ILL)[0]) as watch:
        assert next(watch) == told(ILL)[0]
        assert flip(path, told(ILL)[1])
        mended(served, client)
        assert flip(rundir / "history.rrdb-damaged", told(ILL)[1]) == 0
        kept = {number: told(number)[1] for number in range(1, 200)}
        assert answers(client, range(1, 200)) == {**kept, ILL: None}
        assert f"lost: {told(ILL)[0]}" in served.log
        client.write(*told(ILL))
        assert next(watch) == told(ILL)[0]
    assert client.control("check") == "OK"
    assert "commits 1 " not in client.control("history", "info")
    served.process.kill()
    with running(rundir, *OPTIONS) as again, again.client() as other:
        assert answers(other, range(1, 200)) == kept
        again.stop()
    served.process.wait()
