"""Whoever has something to be done is not forgotten by the loop: nobody else will wake it for him."""

import socket
from functools import partial
from types import SimpleNamespace

import pytest

from tests.compat.guest import Guest
from tests.compat.peers import short_directory
from tests.daemon.conversation import NUMBERS, Peer, fresh_daemon
from xsadapter.engine import lives
from xsadapter.errands import Errands, Once
from xsadapter.server import Server
from xsadapter.stalls import Stalls
from xsadapter.transport.hub import SimulatedXen
from xsadapter.transport.ring import RingClient
from xsadapter.transport.stream import StreamClient
from xsadapter.wire import pack

OK = b"OK\0"


class House:
    """A daemon with two guests on simulated rings and the toolstack at a socket, whose loop is turned by hand."""

    def __init__(self, directory):
        self.directory = directory
        self.xen = SimulatedXen(directory)
        self.daemon = self.xen.daemon = fresh_daemon(self.xen)
        self.toolstack = Peer(self.daemon)
        self.guests = [Guest(directory, domid) for domid in (5, 6)]
        for domid in (5, 6):
            home = b"/local/domain/%d\0" % domid
            assert self.toolstack.ask("MKDIR", home) == OK
            assert self.toolstack.ask("SET_PERMS", home + b"n%d\0" % domid) == OK
            assert self.toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid) == OK
        self.daemon.flow.waiting.clear()
        self.theirs, ours = socket.socketpair()
        ours.setblocking(False)
        self.theirs.setblocking(False)
        listener = SimpleNamespace(clients=0, confined=None, full=False)
        self.errands = Errands()
        client = StreamClient(self.daemon, ours, self.daemon.connect("socket"), listener)
        self.server = Server(self.daemon, [], None, self.xen, clients=[client], errands=self.errands)
        self.turns(3)

    def turns(self, count=1):
        for _ in range(count):
            self.server._patience = 0.0
            self.server._once()

    def on(self, most=300):
        """As the loop goes on by itself, until it would sleep."""
        for _ in range(most):
            if self.server._patience:
                return
            self.server._once()

    def asked(self, *requests):
        """What the toolstack is answered."""
        self.theirs.sendall(b"".join(requests))
        self.turns(3)
        return self.theirs.recv(1 << 20)

    def guest_asks(self, guest, operation, payload, request=1):
        guest.put(pack(NUMBERS[operation], request, 0, payload))
        guest.kick()
        self.turns(3)
        guest.take()
        self.turns(3)
        guest.take()

    def close(self):
        for guest in self.guests:
            guest.close()
        self.theirs.close()
        self.server.close()
        self.xen.close()


@pytest.fixture
def house():
    with short_directory() as directory:
        made = House(directory)
        yield made
        made.close()


def test_each_end_of_a_stall_is_heard_not_only_the_first():
    daemon = fresh_daemon()
    connection = daemon.connect("ring", 5, privileged=False)
    connection.domain.connection = connection
    stalls, client = Stalls(daemon.domains), SimpleNamespace(connection=connection)
    for _ in range(3):
        stalls.add(client)
        connection.domain.ease()
        assert stalls.ended() == [client]


def test_what_an_errand_has_queued_is_sent_without_anybody_coming(house):
    guest = house.guests[0]
    house.toolstack.ask("SET_PERMS", b"@releaseDomain\0n0\0r5\0")
    house.daemon.flow.waiting.clear()
    house.guest_asks(guest, "WATCH", b"@releaseDomain\0token\0")
    guest.queued.clear()
    (house.directory / "dead.6").touch()
    Once(house.errands, 0.0, partial(lives.scan, house.daemon))
    house.server._ticking.at = None
    while house.daemon.domains.get(6) is not None:
        house.turns(1)  # Errands are asked every ten milliseconds.
    assert house.server._patience == 0.0
    house.on()
    guest.take()
    assert [message.kind for message in guest.queued] == ["EVENT"]


def test_what_was_asked_while_a_guest_came_to_be_behind_is_answered(house):
    """It notifies of nothing that comes before we have let go of what came before, as Linux does."""
    guest = house.guests[0]
    for path in (b"/data", b"/data/secret"):
        house.toolstack.ask("WRITE", path + b"\0")
        house.toolstack.ask("SET_PERMS", path + b"\0n0\0")
    house.daemon.flow.waiting.clear()
    house.guest_asks(guest, "WATCH", b"/data\0token\0")
    guest.queued.clear()
    number = int(house.asked(pack(NUMBERS["TRANSACTION_START"], 1, 0, b"\0"))[16:-1])
    for first in range(0, 700, 50):
        house.asked(
            *(pack(NUMBERS["WRITE"], 2, number, b"/data/secret/%d\0x" % name) for name in range(first, first + 50))
        )
    connection = guest_connection = house.daemon.domains.get(5).connection
    flush, put = house.server._flush, []

    def with_another():
        if not put:
            put.append(guest_connection.stalled)
            guest.put(pack(NUMBERS["READ"], 8, 0, b"/local/domain/5\0"))
        flush()

    house.server._flush = with_another
    guest.put(pack(NUMBERS["READ"], 7, 0, b"/local/domain/5\0"))
    guest.kick()
    # Behind the guest's own turn comes what makes it behind.
    house.theirs.sendall(
        pack(NUMBERS["DIRECTORY"], 3, 0, b"/data\0") * 6 + pack(NUMBERS["TRANSACTION_END"], 4, number, b"T\0")
    )
    house.turns(1)
    assert put == [True], "it is behind at the end of that turn"
    house.server._flush = flush
    for _ in range(40):
        house.on()
        guest.take()
    assert not connection.stalled
    assert [(message.kind, message.request) for message in guest.queued] == [("READ", 7), ("READ", 8)]


@pytest.mark.parametrize("where", ["before it is looked at", "after"])
def test_guests_that_rang_while_memory_ran_out_are_heard(house, monkeypatch, where):
    """Their ports were masked, and nobody would have unmasked them."""
    short, does = [], RingClient.receive

    def receive(client):
        if not short:
            short.append(client)
            if where == "after":
                does(client)
            raise MemoryError
        return does(client)

    monkeypatch.setattr(RingClient, "receive", receive)
    for guest in house.guests:
        guest.put(pack(NUMBERS["READ"], 7, 0, b"/local/domain/%d\0" % guest.domid))
        guest.kick()
    with pytest.raises(MemoryError):
        house.server._once()
    house.daemon.relieve()
    house.server._patience = 0.0  # As `run` does.
    house.on()
    for guest in house.guests:
        guest.take()
        assert [(message.kind, message.request) for message in guest.queued] == [("READ", 7)]
    for guest in house.guests:
        guest.put(pack(NUMBERS["READ"], 8, 0, b"/local/domain/%d\0" % guest.domid))
        guest.kick()
    house.turns(2)
    for guest in house.guests:
        guest.take()
        assert guest.queued[-1].request == 8
