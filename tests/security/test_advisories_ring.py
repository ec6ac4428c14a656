"""Advisories about the ring itself and what its bytes may do to the daemon: each is driven through a ring."""

import struct

import pytest

from tests.compat.guest import ERROR, REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD
from tests.daemon.conversation import NUMBERS, Peer
from tests.security.world import OK
from xsadapter.transport.hub import VIRQ
from xsadapter.wire import pack

WRAP = 2**32


@pytest.mark.parametrize("index", [REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD])
@pytest.mark.parametrize("value", [1025, 5000, 2**31, WRAP - 1025])
def test_xsa_38_indexes_out_of_range_touch_nothing_and_end_the_ring(machine, guest, victim, index, value):
    secret = bytes(range(256)) * 2
    machine.node(b"/secret", b"n0\0", secret)
    assert guest.ask("READ", b"/local/domain/5\0") == b""
    guest.words[index] = (guest.words[index] + value) % WRAP
    guest.kick()
    # A reply that is due, so that both halves are looked at.
    guest.ring.connection.reply(NUMBERS["READ"], 0, 0, b"due")
    machine.turn()
    assert guest.ignored
    assert guest.words[ERROR] == 2
    assert secret not in bytes(guest.page)
    assert victim.ask("WRITE", b"x\0v") == OK


def test_xsa_38_a_full_ring_is_legal_and_every_byte_value_of_an_index_is(machine, guest):
    for start in (0, 1023, WRAP - 1500, WRAP - 1):
        for index in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
            guest.words[index] = start
        requests = b"".join(pack(2, number, 0, b"/local/domain/5\0") for number in range(33))
        guest.send(requests[:1024])
        guest.send(requests[1024:])
        assert [guest.message().request for _ in range(33)] == list(range(33))


def test_xsa_72_no_reply_is_longer_than_a_frame(machine, guest):
    machine.node(b"/big", b"r0\0")
    for number in range(60):
        machine.toolstack.ask("MKDIR", b"/big/" + b"n" * 90 + b"%d\0" % number)
    machine.node(b"/long", b"r0\0", bytes(4090))
    assert machine.toolstack.ask("SET_PERMS", b"/long\0r0\0" + b"n65535\0" * 580) == OK
    assert guest.ask("DIRECTORY", b"/big\0") == "E2BIG"
    assert len(guest.ask("READ", b"/long\0")) == 4090
    assert len(guest.ask("GET_PERMS", b"/long\0")) == 3 + 7 * 580
    # Parts bring all of it; a frame over 4096 bytes would fail `Guest.take`.
    listing = b""
    while not listing.endswith(b"\0\0"):
        listing += guest.ask("DIRECTORY_PART", b"/big\0%d\0" % len(listing)).partition(b"\0")[2]
    assert listing.count(b"\0") == 61


def test_xsa_325_a_domain_that_broke_its_ring_is_known_until_it_is_dead(machine, guest):
    machine.toolstack.ask("WATCH", b"@releaseDomain\0t\0")
    machine.toolstack.take()
    assert guest.ask("WATCH", b"/\0t\0") == OK
    assert guest.ask("TRANSACTION_START", b"\0") == b"1\0"
    guest.words[REQ_PROD] += 2000
    guest.kick()
    machine.turn()
    assert guest.ignored
    assert machine.toolstack.ask("IS_DOMAIN_INTRODUCED", b"5\0") == b"T\0"
    assert guest.domain.usage.watches == guest.domain.usage.transactions == 0
    for index in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
        guest.words[index] = 0
    guest.put(pack(2, 1, 0, b"/\0"))
    guest.kick()
    machine.turn()
    assert (guest.words[REQ_CONS], guest.words[RSP_PROD]) == (0, 0), "not read and not written until it begins anew"
    machine.kick(VIRQ)
    assert machine.told() == []
    machine.die(5)
    assert machine.told() == [b"@releaseDomain"]


@pytest.mark.parametrize("length", [4097, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 16])
def test_xsa_420_a_length_is_unsigned_and_too_long_a_one_ends_the_ring_once(machine, guest, victim, length):
    guest.put(struct.pack("=4I", 2, 0, 0, length) + b"/\0")
    guest.kick()
    machine.turn()
    assert guest.ignored
    assert guest.words[ERROR] == 3
    notices = len(machine.daemon.notices)
    for _ in range(5):
        guest.kick()
        machine.turn()
    assert len(machine.daemon.notices) == notices
    assert victim.ask("READ", b"/local/domain/6\0") == b""
    guest.begin_anew()
    assert guest.ask("READ", b"/local/domain/5\0") == b""


def test_xsa_425_a_release_while_the_ring_waits_for_its_turn(machine, guest, victim):
    """The released connection may be the very next one that the loop was going to serve."""
    for each in (guest, victim):
        each.put(b"".join(pack(2, number, 0, b"/\0") for number in range(10)))
        each.kick()
    machine.turn(rounds=1)
    clients = [guest.ring, victim.ring]
    assert machine.toolstack.ask("RELEASE", b"5\0") == OK
    for client in clients:
        for touch in (client.step, client.receive, client.send, client.turn_ends):
            touch()
    assert clients[0].connection.closed
    assert not clients[1].connection.closed
    machine.turn()
    assert [victim.message().request for _ in range(10)] == list(range(10))
    # Introduced again, the domain begins anew: nothing of the requests that were left is carried out.
    machine.toolstack.ask("MKDIR", b"/local/domain/5\0")
    machine.toolstack.ask("SET_PERMS", b"/local/domain/5\0n5\0")
    assert machine.toolstack.ask("INTRODUCE", b"5\x001\x007\0") == OK
    guest.received, guest.queued = b"", []
    assert guest.ask("WRITE", b"x\0") == OK


def test_xsa_425_everything_ends_while_everything_is_looked_at(machine):
    """A scan that buries several domains, each of which has requests in its ring and is told of the others' ends."""
    guests = [machine.guest(domid) for domid in range(1, 8)]
    for each in guests:
        assert each.ask("WATCH", b"@releaseDomain\0t\0") == OK
        each.events()
        each.put(b"".join(pack(2, number, 0, b"/\0") for number in range(10)))
        each.kick()
    machine.die(1, 3, 5, 7)
    assert machine.told() == []
    for domid in (2, 4, 6):
        assert machine.toolstack.ask("RELEASE", b"%d\0" % domid) == OK
    assert machine.xen.clients == {}
    machine.turn()


def test_xsa_416_what_was_answered_refers_to_nothing_of_its_request(machine, guest):
    """A guest that does not read its replies keeps their bytes alive and nothing else; it pays for each byte."""
    machine.node(b"/value", b"r0\0", b"v" * 2000)
    before = guest.domain.usage.memory
    guest.put(b"".join(pack(2, number, 0, b"/value\0") for number in range(40)))
    guest.kick()
    machine.turn()
    connection = guest.ring.connection
    assert guest.domain.usage.outstanding == 20
    assert guest.domain.usage.memory - before == sum(256 + len(message) for message in connection.output) > 30_000
    machine.node(b"/value", b"n0\0", b"another")
    assert all(bytes(message)[-1:] == b"v" for message in connection.output)
    replies = [guest.message() for _ in range(40)]
    assert [message.payload for message in replies[:20]] == [b"v" * 2000] * 20
    assert [message.payload for message in replies[20:]] == [b"EACCES\0"] * 20
    assert guest.domain.usage.memory == before


def test_xsa_484_a_request_may_lose_its_transaction(machine, guest):
    number = guest.start()
    assert guest.ask("WRITE", b"x\0v", number) == OK
    assert guest.ask("RESET_WATCHES", b"\0", number) == OK
    assert guest.ask("READ", b"x\0", number) == "ENOENT"
    assert guest.ask("TRANSACTION_END", b"T\0", number) == "ENOENT"
    assert guest.ask("READ", b"x\0") == "ENOENT"
    number = guest.start()
    assert guest.ask("TRANSACTION_END", b"F\0", number) == OK
    assert guest.ask("RESET_WATCHES", b"\0", number) == "ENOENT"


@pytest.mark.parametrize("inside", [False, True], ids=["live", "transaction"])
def test_xsa_484_a_request_may_lose_its_connection(machine, guest, victim, inside):
    """Naming a dead domain buries it. The one that is named can be the one that asks."""
    machine.toolstack.ask("SET_TARGET", b"5\x006\0")
    number = guest.start() if inside else 0
    assert guest.ask("WRITE", b"/local/domain/6/x\0v", number) == OK
    (machine.directory / "dead.5").touch()
    connection = guest.ring.connection
    guest.put(pack(NUMBERS["SET_PERMS"], 99, number, b"/local/domain/6\0n6\0r5\0"))
    guest.kick()
    machine.turn()
    assert connection.closed
    assert connection.output == []
    assert machine.daemon.domains.get(5) is None
    assert machine.toolstack.ask("IS_DOMAIN_INTRODUCED", b"5\0") == b"F\0"
    assert machine.daemon.watches.count == 0
    assert b"5" not in machine.toolstack.ask("GET_PERMS", b"/local/domain/6\0").split(b"\0")[0]
    assert victim.ask("READ", b"/local/domain/6\0") == b""


def test_xsa_484_an_end_may_lose_its_connection(machine, guest, victim):
    """The requests of a transaction are replayed, and one of them finds that the domain that asks is dead."""
    machine.toolstack.ask("SET_TARGET", b"5\x006\0")
    machine.node(b"/drop", b"b0\0")
    assert victim.ask("WRITE", b"shared\0") == OK
    number = guest.start()
    assert guest.ask("READ", b"/local/domain/6\0", number) == b""
    assert guest.ask("SET_PERMS", b"/local/domain/6/shared\0n6\0r5\0", number) == OK
    assert guest.ask("WRITE", b"/drop/orphan\0v", number) == OK
    assert victim.ask("SET_PERMS", b"/local/domain/6\0n6\0r7\0") == OK
    (machine.directory / "dead.5").touch()
    guest.put(pack(NUMBERS["TRANSACTION_END"], 99, number, b"T\0"))
    guest.kick()
    machine.turn()
    assert machine.daemon.domains.get(5) is None
    assert machine.toolstack.ask("DIRECTORY", b"/drop\0") == b""


def test_xsa_484_an_end_that_lost_its_connection_does_nothing_more(machine, guest):
    """What everybody owns needs no rights that end with the domain."""
    machine.node(b"/any", b"n32757\0")
    machine.node(b"/drop", b"b0\0")
    number = guest.start()
    assert guest.ask("SET_PERMS", b"/any\0n32757\0r5\0", number) == OK
    assert guest.ask("WRITE", b"/drop/orphan\0v", number) == OK
    machine.toolstack.ask("WRITE", b"/any\0changed")
    (machine.directory / "dead.5").touch()
    guest.put(pack(NUMBERS["TRANSACTION_END"], 99, number, b"T\0"))
    guest.kick()
    machine.turn()
    assert machine.toolstack.ask("DIRECTORY", b"/drop\0") == b""
    assert machine.daemon.domains.get(5) is None


def test_xsa_349_a_guest_that_floods_watchers_is_slowed_down_and_nobody_else(machine, guest, victim):
    """The same event is queued once; different ones count as outstanding until their receiver has taken them."""
    slow = Peer(machine.daemon)
    slow.feed(pack(NUMBERS["WATCH"], 1, 0, b"/local/domain/5\0t\0"))
    slow.take()
    for _ in range(100):
        assert guest.ask("WRITE", b"same\0") == OK
    assert len(slow.connection.output) == 1
    slow.take()
    guest.put(b"".join(pack(NUMBERS["WRITE"], number, 0, b"n%d\0" % number) for number in range(30)))
    guest.kick()
    for _ in range(5):
        machine.turn()
        guest.take()
    assert guest.domain.usage.outstanding == 20
    assert len(guest.queued) == len(slow.connection.output) == 20
    assert victim.ask("WRITE", b"x\0") == OK
    slow.take()
    machine.turn()
    guest.take()
    assert len(guest.queued) == 30
