"""Fixtures of the daemon's tests: a daemon without a process and its clients, and one in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compat.peers import short_directory
from tests.daemon.conversation import Host, Peer, fresh_daemon, ring_of
from tests.daemon.processes import Process, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.client import Client
    from xsadapter.engine.daemon import Daemon


@pytest.fixture
def host() -> Host:
    """The hypervisor of `daemon`."""
    return Host()


@pytest.fixture
def daemon(host: Host) -> Iterator[Daemon]:
    made = fresh_daemon(host)
    yield made
    assert not [notice for notice in made.notices if notice.fault], "a bug was answered with EIO"
    made.store.close()


@pytest.fixture
def peer(daemon: Daemon) -> Peer:
    """A client on the socket: privileged."""
    return Peer(daemon)


@pytest.fixture
def other(daemon: Daemon) -> Peer:
    """Another one."""
    return Peer(daemon)


@pytest.fixture
def introduced(daemon: Daemon) -> Peer:
    """Domain 5 on its ring, with a home of its own."""
    toolstack = Peer(daemon)
    assert toolstack.ask("MKDIR", b"/local/domain/5\0") == b"OK\0"
    assert toolstack.ask("SET_PERMS", b"/local/domain/5\0n5\0") == b"OK\0"
    assert toolstack.ask("INTRODUCE", b"5\x001\x007\0") == b"OK\0"
    return ring_of(daemon, 5)


@pytest.fixture
def guest(daemon: Daemon) -> Peer:
    """Domain 5, not privileged, with a home that it may read."""
    toolstack = Peer(daemon)
    assert toolstack.ask("MKDIR", b"/local/domain/5\0") == b"OK\0"
    assert toolstack.ask("SET_PERMS", b"/local/domain/5\0n0\0r5\0") == b"OK\0"
    return Peer(daemon, 5, privileged=False)


@pytest.fixture(scope="session")
def process() -> Iterator[Process]:
    """A daemon in memory, in a process of its own, for all tests that leave only /test behind."""
    with short_directory() as directory, running(directory, "--memory") as made:
        yield made


@pytest.fixture
def client(process: Process) -> Iterator[Client]:
    """A client of it; /test is empty at the start and gone at the end."""
    with process.client() as made:
        yield made
        made.rm("/test")
