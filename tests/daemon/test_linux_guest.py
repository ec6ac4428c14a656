"""Rings whose guests tell no more than Linux does: what nobody tells of is found all the same."""

import pytest

from tests.compat.peers import short_directory
from tests.daemon.conversation import NUMBERS
from tests.daemon.linux_guest import LinuxGuest
from tests.daemon.processes import running
from tests.daemon.test_ring import Guest
from xsadapter.transport.ring import RingClient
from xsadapter.wire import pack

REQUEST = pack(10, 1, 0, b"5\0")
ANSWER = pack(10, 1, 0, b"/local/domain/5\0")


@pytest.fixture(params=["--memory", "--size=16MiB"])
def machine(request):
    """A daemon with a journal and one without, and domain 5 on it."""
    with short_directory() as directory, running(directory, request.param, "--simulated-xen", str(directory)) as daemon:
        with daemon.client() as toolstack, LinuxGuest(directory, 5) as guest:
            toolstack.ask(NUMBERS["WRITE"], b"/local/domain/5/data\0")
            toolstack.ask(NUMBERS["SET_PERMS"], b"/local/domain/5/data\0n5\0")
            toolstack.ask(NUMBERS["INTRODUCE"], b"5\x001\x007\0")
            yield toolstack, guest
        assert daemon.stop() == 0


def test_a_request_whose_payload_comes_later_is_answered(machine):
    toolstack, guest = machine
    for _ in range(3):
        guest.piece(REQUEST[:16])
        for _ in range(3):
            toolstack.read("/tool")  # the daemon has seen the header, and been through two turns more
        guest.piece(REQUEST[16:])
        assert guest.message().payload == b"/local/domain/5\0"


def test_requests_and_answers_larger_than_the_ring_go_through(machine):
    _, guest = machine
    values = [bytes([ord("a") + number % 26]) * (number * 331 % 2048) for number in range(40)]
    for number, value in enumerate(values):
        assert guest.ask("WRITE", b"data/%d\0" % number + value) == b"OK\0"
    for number, value in enumerate(values):
        assert guest.ask("READ", b"data/%d\0" % number) == value


def test_many_requests_on_their_way_are_all_answered(machine):
    """Nothing is read until the daemon takes no more; then all of it."""
    _, guest = machine
    value = b"v" * 700
    for number in range(200):
        guest.send(pack(NUMBERS["WRITE"], number, 0, b"data/x\0" + value))
        guest.send(pack(NUMBERS["READ"], number, 0, b"data/x\0"))
    answers = [guest.message() for _ in range(400)]
    assert [(answer.kind, answer.request) for answer in answers] == [
        (kind, number) for number in range(200) for kind in ("WRITE", "READ")
    ]
    assert {answer.payload for answer in answers} == {b"OK\0", value}


def test_domain_0s_own_ring_is_not_begun_anew_by_a_daemon_that_goes_on():
    with short_directory() as directory, LinuxGuest(directory, 0) as kernel:
        options = ("-N", "--size=16MiB", "--event=9", "--simulated-xen", str(directory))
        with running(directory, *options, program="xsadapter.cli.xenstored"):
            assert kernel.ask("WATCH", b"/x\0token\0") == b"OK\0"
            assert kernel.message().payload == b"/x\0token\0"
        with running(directory, *options, program="xsadapter.cli.xenstored") as daemon:
            with daemon.client() as toolstack:
                toolstack.write("/x", b"")
            assert kernel.message().payload == b"/x\0token\0"
            assert daemon.stop() == 0


@pytest.fixture
def ring(daemon, introduced):
    guest, told = Guest(), []
    return guest, RingClient(daemon, introduced.connection, guest.ring, 1005, told.append), told


def test_what_came_before_the_index_moved_is_looked_for(ring):
    guest, client, told = ring
    guest.put(REQUEST)
    assert client.receive()
    assert client.step()
    guest.put(REQUEST)
    client.send()
    assert client.turn_ends()
    assert (told, guest.take(1024)) == ([1005], ANSWER)
    assert client.step()
    client.send()
    assert not client.turn_ends()
    assert (told, guest.take(1024)) == ([1005, 1005], ANSWER)


def test_room_that_came_before_the_ring_was_full_is_looked_for(ring):
    guest, client, _ = ring
    client.connection.domain.limits["outstanding"] = 0
    for _ in range(40):
        guest.put(REQUEST)
        assert client.step()
    client.send()
    assert not client.turn_ends()  # full, so the guest will tell
    got = guest.take(1)
    assert client.turn_ends()
    while client.connection.output:
        client.send()
        got += guest.take(1024)
    assert got + guest.take(1024) == ANSWER * 40
    assert not client.turn_ends()


def test_half_a_request_is_waited_for_one_turn_and_then_let_go_of(ring):
    guest, client, told = ring
    guest.put(REQUEST[:16])
    assert client.receive()
    assert not client.step()
    assert client.turn_ends()
    assert (told, guest.words[512]) == ([], 0)
    assert not client.turn_ends()
    assert (told, guest.words[512]) == ([1005], 16)
    guest.put(REQUEST[16:])
    assert client.step()
    client.send()
    assert not client.turn_ends()
    assert (guest.take(1024), guest.words[512]) == (ANSWER, len(REQUEST))


def test_what_a_guest_that_is_not_to_be_read_sends_is_left_alone(ring):
    """Looked at again and again it would keep the loop from sleeping."""
    guest, client, _ = ring
    guest.put(REQUEST)
    client.connection.domain.usage.outstanding = 20
    assert client.connection.stalled
    assert not client.turn_ends()
    client.connection.domain.usage.outstanding = 0
    assert client.turn_ends()
    guest.words[513] = 5000
    assert not client.turn_ends()
    assert client.connection.ignored
    assert not client.turn_ends()
