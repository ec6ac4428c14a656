"""Guests on rings: the same conversation with the stock C daemon and with ours."""

import contextlib
import socket

import pytest

from tests.compat import peers
from tests.compat.guest import CONNECTION, ERROR, FEATURES, REQ_PROD, Guest
from tests.compat.test_differential import Wire
from tests.daemon.processes import running
from xsadapter.wire import pack

OK = b"OK\0"


@contextlib.contextmanager
def stock():
    peers.need(*peers.C_NEEDS)
    with peers.short_directory() as directory, peers.c_xenstored(directory) as daemon:
        yield directory, daemon


@contextlib.contextmanager
def ours():
    with (
        peers.short_directory() as directory,
        running(directory, "--memory", "--simulated-xen", str(directory)) as process,
    ):
        yield directory, Ours(process)


class Ours:
    """Our daemon, as `Wire` wants it."""

    def __init__(self, process):
        self.process = process

    def connect(self):
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(str(self.process.socket))
        return stream


@pytest.fixture(params=[stock, ours], ids=["C", "ours"])
def host(request):
    with request.param() as (directory, daemon):
        wire = Wire(daemon)
        yield directory, wire
        wire.close()


@pytest.fixture
def our_host():
    with ours() as (directory, daemon):
        wire = Wire(daemon)
        yield directory, wire
        wire.close()


def introduced(directory, wire, domid):
    home = b"/local/domain/%d" % domid
    assert wire.ask("MKDIR", home + b"\0")[0] == OK
    assert wire.ask("SET_PERMS", home + b"\0n%d\0" % domid)[0] == OK
    guest = Guest(directory, domid)
    assert wire.ask("INTRODUCE", b"%d\x001\x001\0" % domid)[0] == OK
    return guest


def test_a_guest_reads_writes_watches_and_has_transactions(host):
    directory, wire = host
    with introduced(directory, wire, 5) as guest:
        assert guest.ask("READ", b"name\0") == "ENOENT"
        assert guest.ask("WRITE", b"data\0" + b"v" * 1500) == OK
        assert guest.ask("READ", b"/local/domain/5/data\0") == b"v" * 1500
        assert guest.ask("GET_PERMS", b"data\0") == b"n5\0"
        assert guest.ask("READ", b"/\0") == "EACCES"
        assert guest.ask("WRITE", b"/elsewhere\0") == "EACCES"
        assert guest.ask("INTRODUCE", b"6\x001\x001\0") == "EACCES"
        assert guest.ask("WATCH", b"data\0token\0") == OK
        assert guest.events() == [(b"data", b"token")]
        wire.ask("WRITE", b"/local/domain/5/data\0new")
        assert guest.events() == [(b"data", b"token")]
        number = guest.start()
        assert guest.ask("WRITE", b"a/b\0c", number) == OK
        assert wire.ask("READ", b"/local/domain/5/a/b\0")[0] == "ENOENT"
        assert guest.ask("TRANSACTION_END", b"T\0", number) == OK
        assert wire.ask("READ", b"/local/domain/5/a/b\0")[0] == b"c"


def test_two_guests_and_what_is_not_theirs(host):
    directory, wire = host
    with introduced(directory, wire, 5) as one, introduced(directory, wire, 6) as two:
        assert one.ask("WRITE", b"secret\0s") == OK
        assert two.ask("READ", b"/local/domain/5/secret\0") == "EACCES"
        assert two.ask("WATCH", b"/local/domain/5\0t\0") == OK
        assert two.events() == [(b"/local/domain/5", b"t")]
        one.ask("WRITE", b"secret\0x")
        assert two.events() == []
        one.ask("SET_PERMS", b"secret\0n5\0r6\0")
        assert two.events() == [(b"/local/domain/5/secret", b"t")]
        assert two.ask("READ", b"/local/domain/5/secret\0") == b"x"


def test_release_and_introduction_of_the_next_with_the_number(host):
    directory, wire = host
    with introduced(directory, wire, 5) as guest:
        guest.ask("WRITE", b"a\0v")
        assert wire.ask("RELEASE", b"5\0")[0] == OK
        assert wire.ask("IS_DOMAIN_INTRODUCED", b"5\0")[0] == b"F\0"
        assert wire.ask("READ", b"/local/domain/5/a\0")[0] == "ENOENT"
    with introduced(directory, wire, 5) as again:
        assert again.ask("READ", b"a\0") == "ENOENT"


def test_death_is_seen(host):
    directory, wire = host
    with introduced(directory, wire, 5) as guest:
        assert wire.ask("WATCH", b"@releaseDomain\0t\0")[0] == OK
        wire.ask("READ", b"/\0")
        (directory / "dead.5").touch()
        guest.kick(1)
        for _ in range(200):
            if (b"@releaseDomain", b"t") in wire.ask("READ", b"/\0")[1]:
                break
        assert wire.ask("IS_DOMAIN_INTRODUCED", b"5\0")[0] == b"F\0"


def test_more_requests_than_the_ring_holds_are_answered_in_order(host):
    directory, wire = host
    with introduced(directory, wire, 5) as guest:
        guest.ask("WRITE", b"a\0v")
        requests = b"".join(pack(2, number, 0, b"a\0") for number in range(300))
        guest.send(requests)
        assert [guest.message().request for _ in range(300)] == list(range(300))


def test_a_broken_ring_hurts_its_guest_alone_and_can_begin_anew(our_host):
    directory, wire = our_host
    with introduced(directory, wire, 5) as guest, introduced(directory, wire, 6) as other:
        assert guest.words[FEATURES] == 15
        guest.words[REQ_PROD] += 2000
        guest.kick()
        assert other.ask("WRITE", b"x\0v") == OK
        for _ in range(500):
            wire.ask("READ", b"/\0")
            if guest.words[ERROR]:
                break
        assert guest.words[ERROR] == 2
        assert wire.ask("IS_DOMAIN_INTRODUCED", b"5\0")[0] == b"T\0"
        guest.words[CONNECTION] = 1
        guest.kick()
        for _ in range(500):
            wire.ask("READ", b"/\0")
            if not guest.words[CONNECTION]:
                break
        assert guest.ask("WRITE", b"x\0again") == OK


def test_a_frame_that_is_too_long_is_a_violation(our_host):
    directory, wire = our_host
    with introduced(directory, wire, 5) as guest:
        guest.put(pack(2, 1, 0, b"")[:12] + (5000).to_bytes(4, "little"))
        guest.kick()
        for _ in range(500):
            wire.ask("READ", b"/\0")
            if guest.words[ERROR]:
                break
        assert guest.words[ERROR] == 3
