"""The simulated hypervisor without a loop around it: ports, masks, lives, and a ring as a client."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.guest import Guest as GuestInAFile
from tests.compat.peers import short_directory
from tests.daemon.conversation import NUMBERS, Peer, fresh_daemon
from tests.daemon.processes import ROOT, running
from tests.daemon.test_ring import Guest
from xsadapter.engine.hypervisor import Life
from xsadapter.rings import LOOKS
from xsadapter.transport.hub import SimulatedXen
from xsadapter.transport.ring import RingClient
from xsadapter.wire import pack


@pytest.fixture
def xen():
    with short_directory() as directory:
        made = SimulatedXen(directory)
        yield made, directory
        made.close()


def kick(directory, *ports):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as kicks:
        for port in ports:
            kicks.sendto(struct.pack("=I", port), str(directory / "evtchn"))


def bulk(directory, data):
    descriptor = os.open(directory / "evtchn.fifo", os.O_WRONLY)
    os.write(descriptor, data)
    os.close(descriptor)


def test_a_port_is_masked_until_it_is_written_back_and_nothing_is_lost(xen):
    made, directory = xen
    kick(directory, 1005, 1006)
    assert made.fired() == [1005, 1006]
    kick(directory, 1005)
    assert made.fired() == []
    assert made.unmask(1005) is True
    assert made.unmask(1006) is False
    assert made.fired() == [1005]
    kick(directory, 1006)
    assert made.fired() == [1006]


def test_many_ports_come_through_the_pipe_however_they_are_cut(xen):
    made, directory = xen
    ports = list(range(1000, 1900))
    data = struct.pack(f"={len(ports)}I", *ports)
    bulk(directory, data[:1001])
    found = made.fired()
    bulk(directory, data[1001:])
    assert found + made.fired() == ports


def test_lives_are_what_the_files_say(xen):
    made, directory = xen
    assert made.life(5) == Life(0x100000 + 5)
    (directory / "dom.5").write_text("77 shutdown crash\n")
    assert made.life(5) == Life(77, shutdown=True)
    (directory / "dom.5").write_text("77 dying\n")
    assert made.life(5) == Life(77, dying=True)
    (directory / "dead.5").touch()
    assert made.life(5) is None
    assert made.life(0x7FF0) is None


def test_rings_keep_no_descriptor(xen):
    made, _ = xen
    daemon = fresh_daemon(made)
    made.daemon = daemon
    peer = Peer(daemon)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for domid in range(1, 101):
        assert peer.ask("INTRODUCE", b"%d\x001\x001\0" % domid) == b"OK\0"
    assert len(made.clients) == 100
    assert len(list(Path("/proc/self/fd").iterdir())) <= before  # others may have let go of some
    for domid in range(1, 101):
        assert peer.ask("RELEASE", b"%d\0" % domid) == b"OK\0"
    assert made.clients == {}
    daemon.store.close()


def test_a_ring_is_served_up_to_what_its_guest_may_have_outstanding(daemon, introduced):
    guest, told = Guest(), []
    client = RingClient(daemon, introduced.connection, guest.ring, 1005, told.append)
    guest.put(b"".join(pack(2, number, 0, b"x\0") for number in range(25)))
    assert client.receive()
    served = 0
    while client.step():
        served += 1
    assert served == 20
    client.send()
    client.turn_ends()
    assert told == [1005]
    while client.step():
        served += 1
    client.send()
    assert (served, guest.words[515] > 0) == (25, True)


@pytest.mark.parametrize("features", [15, 13])
def test_what_broke_is_said_in_the_page_if_the_domain_has_the_feature(daemon, introduced, features):
    guest = Guest()
    client = RingClient(daemon, introduced.connection, guest.ring, 1005, lambda port: None)
    introduced.connection.domain.features = features
    guest.words[513] = 5000
    assert not client.receive()
    assert introduced.connection.ignored
    assert guest.words[518] == (2 if features & 2 else 0)
    guest.words[517] = 1
    client.receive()
    assert (introduced.connection.ignored, guest.words[517], guest.words[513]) == (False, 0, 0)


@pytest.mark.parametrize(
    "half", [b"", b"7", b"7 ", b"7 runn", b" running", b"x running", b"7 shutdown \xff", b"9" * 99]
)
def test_what_is_half_written_says_nothing_yet(xen, half):
    made, directory = xen
    place = directory / "dom.5"
    place.write_bytes(half)
    assert made.life(5) == Life(0x100005)
    place.write_text("7 shutdown poweroff\n")
    assert made.life(5) == Life(7, shutdown=True)
    place.write_bytes(half)
    assert made.life(5) == Life(7, shutdown=True)
    place.unlink()
    assert made.life(5) == Life(0x100005)


def cut(directory, domid):
    os.truncate(directory / f"ring.{domid}", 0)


@pytest.mark.parametrize("deed", ["receive", "send", "begin"])
def test_a_ring_that_its_guest_cuts_is_broken_and_nothing_else_is(xen, deed):
    """The load is a fault there, which would be the daemon's end."""
    made, directory = xen
    daemon = made.daemon = fresh_daemon(made)
    toolstack = Peer(daemon)
    for domid in (5, 6):
        assert toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid) == b"OK\0"
    client, other = made.clients[1005], made.clients[1006]
    client.connection.reader.feed(pack(2, 1, 0, b"/x\0"))
    assert daemon.step(client.connection)
    cut(directory, 5)
    if deed == "begin":
        client.begin(15)
        assert not client.receive()
    elif deed == "receive":
        assert not client.receive()
    else:
        client.send()
    assert client.connection.ignored
    assert not client.receive()
    assert [notice.text for notice in daemon.notices] == ["dom5 conn 2 ring: the page has vanished; ignored"]
    assert not other.connection.ignored
    assert other.receive() is False
    # Introduced again it is mapped again, and serves.
    assert toolstack.ask("INTRODUCE", b"5\x001\x007\0") == b"OK\0"
    with GuestInAFile(directory, 5) as guest:
        guest.put(pack(10, 1, 0, b"5\0"))
        assert client.receive()
        assert daemon.step(client.connection)
        client.send()
        guest.take()
        assert [message.payload for message in guest.queued] == [b"/local/domain/5\0"]
    daemon.store.close()


def test_a_daemon_outlives_a_guest_that_cuts_its_ring_while_it_is_read():
    with short_directory() as directory, running(directory, "--memory", "--simulated-xen", str(directory)) as daemon:
        with daemon.client() as toolstack, GuestInAFile(directory, 5) as guest, GuestInAFile(directory, 6) as other:
            for domid in (5, 6):
                toolstack.ask(NUMBERS["INTRODUCE"], b"%d\x001\x007\0" % domid)
            guest.put(pack(10, 1, 0, b"5\0"))
            cut(directory, 5)
            for _ in range(3):
                guest.kick()
                assert other.ask("GET_DOMAIN_PATH", b"6\0") == b"/local/domain/6\0"
            assert "domain 5 ignored" in toolstack.control("domains", "5")
            assert toolstack.read("/tool") == b""
        assert daemon.stop() == 0


def test_a_fault_that_is_none_of_ours_ends_the_process_as_ever(tmp_path):
    """Whoever else maps files learns of what happens to them as if we were not there."""
    program = """
import mmap, os, sys
from xsadapter.transport.page import Mapping
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(descriptor, 8192)
ours, theirs = Mapping(descriptor, 4096), mmap.mmap(descriptor, 4096, offset=4096)
os.ftruncate(descriptor, 0)
assert ours.bytes[0] == 0 and ours.vanished
print("alive", flush=True)
theirs[0]
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "file")], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.stdout, done.returncode) == ("alive\n", -signal.SIGBUS)


def test_all_rings_are_looked_at_after_a_kill_and_who_asks_by_the_socket_need_not_wait_for_them():
    """More of them than are looked at in one turn; what each guest has asked meanwhile nobody tells."""
    domids = range(1, 2 * LOOKS + 10)
    with short_directory() as directory, contextlib.ExitStack() as stack:
        options = ("--size", "4MiB", "--keep", "last:8", "--simulated-xen", str(directory))
        with running(directory, *options) as first, first.client() as toolstack:
            guests = {domid: stack.enter_context(GuestInAFile(directory, domid)) for domid in domids}
            for domid, guest in guests.items():
                toolstack.write(f"/local/domain/{domid}/name", b"web%d" % domid)
                toolstack.set_permissions(f"/local/domain/{domid}/name", (f"n{domid}",))
                toolstack.ask(NUMBERS["INTRODUCE"], b"%d\x001\x007\0" % domid)
                assert guest.ask("READ", b"name\0") == b"web%d" % domid
            first.process.kill()
            first.process.wait()
        for guest in guests.values():
            guest.put(pack(NUMBERS["READ"], 7, 0, b"name\0"))
        with running(directory, *options) as second:
            for domid, guest in guests.items():
                message = guest.message()
                assert (message.request, message.payload) == (7, b"web%d" % domid)
            assert second.stop() == 0
