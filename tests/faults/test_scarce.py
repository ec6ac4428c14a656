"""A daemon that has run out of memory, or of descriptors: it serves on with what it has, and wholly when it can."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.compat.peers import short_directory
from tests.daemon.conversation import fresh_daemon
from tests.daemon.processes import PATIENCE, running, until
from xsadapter.client import RequestError
from xsadapter.scarcity import Scarcity

MIB = 1 << 20


@pytest.fixture
def served():
    with short_directory() as directory, running(directory, "--size", "16MiB") as made:
        yield made


def size(daemon):
    return int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[0]) * resource.getpagesize()


def limited(daemon, limit):
    resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def refused(client):
    try:
        client.write("/more", b"")
    except RequestError as error:
        return error.name == "ENOMEM"
    return False


def test_what_takes_more_memory_than_there_is_is_refused_and_all_else_goes_on(served):
    with served.client() as client:
        client.write("/a/b", b"1")
        watch = client.watch("/a")
        assert next(watch) == "/a"
        limited(served, size(served) + 24 * MIB)
        until(lambda: served.process.poll() is None and (refused(client) or larger(client)), "a refusal")
        assert client.read("/a/b") == b"1"
        with pytest.raises(RequestError, match="ENOMEM"):
            client.watch("/more")
        client.rm("/a/b")
        assert next(watch) == "/a/b"
        assert "what takes more is refused" in client.control("history", "info")
        limited(served, resource.RLIM_INFINITY)
        until(lambda: not refused(client), "memory")
        assert "OK" in client.control("check")
        assert "Traceback" not in served.log
        assert served.stop() == 0


def larger(client):
    """Watches, which no history thins."""
    with client.pipeline(keep_errors=True) as pipe:
        for _ in range(50):
            pipe.write("/big/" + "x" * 1000, bytes(2000))
    for number in range(50):
        try:
            client.watch(f"/w{number}" + "x" * 1000)
        except RequestError as error:
            return error.name == "ENOMEM"
    return False


def test_without_any_warning_it_gives_back_its_reserve(monkeypatch):
    """Memory that runs out in the midst of a request; the operating system would have to be as quick as that."""
    daemon = fresh_daemon()
    scarcity = Scarcity(daemon)
    scarcity.turn(None)
    reserve = scarcity._reserve
    assert not reserve.closed
    daemon.relieve()
    assert reserve.closed
    assert daemon.short
    assert [line.partition(" (for")[0] for line in daemon.troubles.told(daemon.store.info(), 0.0)] == [
        "memory has run out: what takes more is refused (ENOMEM)"
    ]
    scarcity.turn(None)
    scarcity.turn(None)
    assert not daemon.short
    daemon.store.close()


def test_without_descriptors_it_serves_who_is_there_and_does_not_spin(served):
    with served.client() as client:
        watch = client.watch("/a")
        assert next(watch) == "/a"
        there = len(list(Path(f"/proc/{served.process.pid}/fd").iterdir()))
        resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE, (there + 1, there + 200))
        with ExitStack() as clients:
            for _ in range(4):
                clients.enter_context(socket.socket(socket.AF_UNIX)).connect(str(served.socket))
            until(lambda: "cannot accept a client" in served.log, "no descriptors")
            begun = ticks(served)
            for number in range(40):
                client.write("/a", b"%d" % number)
                assert next(watch) == "/a"
            with pytest.raises(RequestError, match="EINVAL"):
                client.control("logfile", "other")
            assert ticks(served) - begun < 100
            assert served.log.count("cannot accept") < 10
        until(lambda: client.control("metrics").count("connections 1\n") == 1, "their end")
        resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE, (there + 200, there + 200))
        with served.client() as other:
            assert other.read("/a").endswith(b"39")
        assert "Traceback" not in served.log
        served.process.send_signal(15)
        assert served.process.wait(PATIENCE) == 0


def ticks(daemon):
    """Hundredths of a second of CPU that it has taken."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
