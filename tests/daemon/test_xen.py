"""Xen's own devices: what is asked of them, byte by byte, and domains that come, shut down, die, outlive a daemon."""

import struct
from types import SimpleNamespace

import pytest

from tests.daemon.conversation import Peer, fresh_daemon
from tests.daemon.fake_xen import OWN, VIRQ, FakeXen
from xsadapter.cli.hypervisor import chosen
from xsadapter.engine import lives
from xsadapter.engine.hypervisor import Life
from xsadapter.stream.outgoing import Carriers
from xsadapter.transport import xen as transport
from xsadapter.transport.devices import HYPERCALL, NEEDED, DeviceError
from xsadapter.transport.domctl import DomainStates
from xsadapter.transport.xen import Xen
from xsadapter.wire import pack

OK = b"OK\0"
HANDLE = bytes(range(0xF0, 0x100))


@pytest.fixture
def kernel():
    return FakeXen()


@pytest.fixture
def host(kernel):
    """A daemon on these devices, which serves domain 0's ring, and its toolstack."""
    made = Xen(kernel)
    made.daemon = fresh_daemon(made)
    lives.introduce(made.daemon, 0, made.control_port)
    yield SimpleNamespace(xen=made, daemon=made.daemon, toolstack=Peer(made.daemon), kernel=kernel)
    made.daemon.store.close()


def turn(host):
    """As the server does it: unmask, look, carry out, answer, notify."""
    for port in host.xen.fired():
        again = host.xen.unmask(port)
        assert again is False
        if port == host.xen.virq:
            lives.scan(host.daemon)
        elif port in host.xen.clients:
            host.xen.clients[port].receive()
    for client in list(host.xen.clients.values()):
        while client.step():
            pass
        client.send()
        client.turn_ends()
    host.daemon.waiting.clear()


def ask(host, guest, domid, kind, payload):
    """A guest's request, and the payload of its answer."""
    guest.put(pack(kind, 7, 0, payload))
    host.kernel.tell(host.kernel.local(domid))
    turn(host)
    answer = guest.take(1024)
    assert struct.unpack_from("=IIII", answer) == (kind, 7, 0, len(answer) - 16)
    return answer[16:]


def test_what_is_asked_of_the_devices_is_what_the_traces_show(host):
    host.kernel.create(1, port=3)
    assert host.toolstack.ask("INTRODUCE", b"1\x00724993\x003\0") == OK
    host.kernel.domains[1].dead = True
    host.kernel.tell(VIRQ)
    turn(host)
    asked = [call for call in host.kernel.calls if call[0] != "privcmd"]
    word = struct.Struct("=I").pack
    assert asked == [
        ("evtchn", 0x00044500, word(3)),
        ("xenbus_backend", 0x00004200, b""),
        ("evtchn", 0x00084501, word(0) + word(OWN)),
        ("evtchn", 0x00044504, word(16)),
        ("gntdev", 0x00184700, bytes.fromhex("01000000 00000000 0000000000000000 01000000 01000000")),
        ("evtchn", 0x00084501, word(1) + word(3)),
        ("evtchn", 0x00044504, word(17)),
        ("evtchn", 0x00044503, word(17)),
        ("gntdev", 0x00104701, struct.pack("=QII", 0x1000, 1, 0)),
    ]
    hypercalls = {call[2] for call in host.kernel.calls if call[0] == "privcmd"}
    assert hypercalls == {struct.pack("=6Q", number, 0xABC000, 0, 0, 0, 0) for number in (35, 36)}


def test_a_guest_is_served_through_its_grant(host):
    guest = host.kernel.create(5)
    assert host.toolstack.ask("INTRODUCE", b"5\x00724993\x001\0") == OK
    assert (guest.words[516], guest.words[517]) == (15, 0)
    turn(host)
    host.kernel.notified.clear()
    assert ask(host, guest, 5, 10, b"5\0") == b"/local/domain/5\0"
    assert host.kernel.notified == [host.kernel.local(5)]


def test_a_domain_that_xen_made_itself_has_its_port_in_the_page(host):
    guest = host.kernel.create(5, port=9)
    guest.words[519] = 9
    assert host.toolstack.ask("INTRODUCE", b"5\x000\x001\0") == OK
    assert host.kernel.bound[host.kernel.local(5)] == (5, 9)
    assert host.daemon.domains.get(5).connection.port == 9


def test_what_a_guest_writes_there_later_is_not_believed(host):
    """A guest that has written over its page can be introduced again, and be taken over."""
    guest = host.kernel.create(5, port=8)
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x008\0") == OK
    guest.words[519] = 0xDEAD
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x008\0") == OK
    assert host.kernel.bound[host.kernel.local(5)] == (5, 8)
    for descriptor in list(host.kernel.open_files):
        host.kernel.close(descriptor)
    again = Xen(host.kernel)
    again.daemon = host.daemon
    again.resume(host.daemon.domains.get(5).connection)
    assert host.kernel.bound[host.kernel.local(5)] == (5, 8)


def test_the_own_ring_goes_on_where_it_was(kernel):
    """Its kernel may have asked something of the daemon before, or be in the midst of it."""
    guest = kernel.domains[0].guest
    for index, at in ((512, 0xFFFFFFF0), (513, 0xFFFFFFF0), (514, 5), (515, 5)):
        guest.words[index] = at
    guest.words[517] = 1
    guest.put(pack(10, 7, 0, b"0\0"))
    xen = Xen(kernel)
    host = SimpleNamespace(xen=xen, daemon=fresh_daemon(xen), kernel=kernel)
    xen.daemon = host.daemon
    lives.introduce(host.daemon, 0, xen.control_port)
    assert guest.words[517] == 0
    turn(host)
    assert guest.take(1024)[16:] == b"/local/domain/0\0"
    assert ask(host, guest, 0, 2, b"/tool\0") == b""
    assert kernel.domains[0].guest.words[515] == 5 + 32 + 16
    host.daemon.store.close()


def test_what_cannot_be_mapped_or_bound_leaves_nothing(host):
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x001\0") == "EINVAL"
    host.kernel.create(5)
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x002\0") == "EINVAL"
    assert host.kernel.granted == {}
    assert len(host.kernel.bound) == 2
    assert host.toolstack.ask("IS_DOMAIN_INTRODUCED", b"5\0") == b"F\0"
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x001\0") == OK


def test_introduced_again_a_domain_has_another_channel_and_the_same_page(host):
    guest = host.kernel.create(5)
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x001\0") == OK
    host.kernel.domains[5].ports = {4}
    for index in range(512, 516):
        guest.words[index] = 77
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x004\0") == OK
    assert list(guest.words[512:516]) == [0, 0, 0, 0]
    assert (len(host.kernel.granted), host.kernel.bound[host.kernel.local(5)]) == (1, (5, 4))
    assert ask(host, guest, 5, 10, b"5\0") == b"/local/domain/5\0"
    # A port that is none: the ring is told of nothing, and can be had again, and given up.
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x005\0") == "EINVAL"
    assert host.xen.client(host.daemon.domains.get(5).connection) is None
    turn(host)
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x004\0") == OK
    assert ask(host, guest, 5, 10, b"5\0") == b"/local/domain/5\0"
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x005\0") == "EINVAL"
    assert host.toolstack.ask("RELEASE", b"5\0") == OK
    assert host.kernel.granted == {}


@pytest.mark.parametrize("stable", [False, True])
def test_a_life_is_told_as_the_hypervisor_tells_it(stable):
    kernel = FakeXen(stable=stable)
    states = DomainStates(kernel)
    assert states.version == (0 if stable else 0x15)
    kernel.create(5, handle=HANDLE, unique=99)
    unique = 99 if stable else 0x70F1F2F3F4F5F6F7
    assert states.life(5) == Life(unique)
    assert states.life(4) is None
    assert states.life(6) is None
    kernel.domains[5].shutdown = True
    assert states.life(5) == Life(unique, shutdown=True)
    kernel.domains[5].dead = True
    assert states.life(5) is None
    assert states.life(0) == Life(0)
    before = len(kernel.calls)
    assert states.life(0x7FF0) is None
    assert len(kernel.calls) == before


@pytest.mark.parametrize("takes", [96, 104, 112, 120, 200])
def test_many_are_looked_at_in_one_call_for_some_hundreds(takes):
    """Whatever one takes in this release; of 1,400 some have shut down, are dead or are not asked for."""
    kernel = FakeXen()
    kernel.takes = takes
    states = DomainStates(kernel)
    for domid in range(1, 2800, 2):
        kernel.create(domid, handle=domid.to_bytes(8, "big") + bytes(8))
        kernel.domains[domid].shutdown = domid % 10 == 1
        kernel.domains[domid].dead = domid % 10 == 3
    before = len(kernel.calls)
    found = states.living(range(2000))
    room = 16 * 4096 // takes
    assert len(kernel.calls) - before == 1401 // room + 1
    alive = [domid for domid in range(1, 2000, 2) if domid % 10 != 3]
    assert found == {0: Life(0)} | {domid: Life(domid, shutdown=domid % 10 == 1) for domid in alive}


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_list_that_just_fills_the_room_is_whole(beyond):
    kernel = FakeXen()
    states = DomainStates(kernel)
    most = 16 * 4096 // 112
    for domid in range(1, most + beyond):
        kernel.create(domid)
    assert len(states.living(range(1000))) == most + beyond


@pytest.mark.parametrize(("stable", "listed"), [(False, None), (True, 0x15), (False, 0x99)])
def test_each_is_asked_for_where_there_is_no_list(stable, listed):
    """Refused by a policy, unknown in all versions, or without the unique ids that the hypervisor gives."""
    kernel = FakeXen(stable=stable, listed=listed)
    states = DomainStates(kernel)
    kernel.create(5, handle=HANDLE, unique=99)
    before = len(kernel.calls)
    assert states.living([0, 4, 5]) == {0: Life(0), 5: Life(99 if stable else 0x70F1F2F3F4F5F6F7)}
    assert len(kernel.calls) - before == 2


def test_each_is_asked_for_when_the_list_fails_later():
    kernel = FakeXen()
    states = DomainStates(kernel)
    kernel.create(5, handle=HANDLE)
    kernel.listed = None
    assert states.living([0, 4, 5]) == {0: Life(0), 5: Life(0x70F1F2F3F4F5F6F7)}


@pytest.mark.parametrize("version", [0x0C, 0x12, 0x15, 0x18])
def test_the_interface_is_found_by_trying(version):
    assert DomainStates(FakeXen(version)).version == version


def test_a_hypervisor_that_tells_nothing_is_said_to():
    with pytest.raises(
        DeviceError, match=r"privcmd: found no answer about domains, expected domain 0 of a Xen"
    ) as said:
        DomainStates(FakeXen(0x0B))
    assert said.value.path == "/dev/xen/privcmd"


def test_shutdown_then_death_are_told_and_the_zombie_is_let_go(host):
    host.kernel.create(5)
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x001\0") == OK
    host.toolstack.ask("WATCH", b"@releaseDomain\0token\0")
    host.toolstack.take()
    host.kernel.domains[5].shutdown = True
    for _ in range(2):
        host.kernel.tell(VIRQ)
        turn(host)
    assert host.toolstack.events() == [(b"@releaseDomain", b"token")]
    host.kernel.domains[5].dead = True
    host.kernel.reap()
    assert 5 in host.kernel.domains  # a zombie, its page being mapped
    host.kernel.tell(VIRQ)
    turn(host)
    assert host.toolstack.events() == [(b"@releaseDomain", b"token")]
    host.kernel.reap()
    assert 5 not in host.kernel.domains
    turn(host)
    assert host.toolstack.events() == []
    assert list(host.xen.clients) == [16]


def test_another_domain_of_the_number_inherits_nothing(host):
    """The one before it was not seen to die."""
    host.kernel.create(5)
    assert host.toolstack.ask("INTRODUCE", b"5\x001\x001\0") == OK
    host.toolstack.ask("WRITE", b"/mine\0x")
    host.toolstack.ask("SET_PERMS", b"/mine\0n5\0")
    host.kernel.create(5, handle=HANDLE)
    assert host.toolstack.ask("SET_PERMS", b"/tool\0n0\0r5\0") == OK
    assert host.toolstack.ask("READ", b"/mine\0") == "ENOENT"


def test_a_queue_that_has_overflown_is_as_if_every_port_had_fired(host):
    guest = host.kernel.create(5)
    host.toolstack.ask("INTRODUCE", b"5\x001\x001\0")
    turn(host)
    guest.put(pack(10, 7, 0, b"5\0"))
    host.kernel.domains[5].shutdown = True
    host.kernel.overflow = True
    turn(host)
    assert guest.take(1024)[16:] == b"/local/domain/5\0"
    assert host.daemon.domains.get(5).shut
    assert host.xen.fired() == []


def test_what_a_killed_daemon_had_is_bound_and_mapped_again(host):
    guest = host.kernel.create(5)
    host.toolstack.ask("INTRODUCE", b"5\x001\x001\0")
    assert ask(host, guest, 5, 10, b"5\0") == b"/local/domain/5\0"
    indexes = list(guest.words[512:516])
    for descriptor in list(host.kernel.open_files):
        host.kernel.close(descriptor)
    again = Xen(host.kernel)
    again.daemon = host.daemon
    connection = host.daemon.domains.get(5).connection
    again.resume(connection, (indexes[0], indexes[3]))
    assert list(guest.words[512:516]) == indexes
    assert again.client(connection).port in again.fired()


def test_a_process_that_takes_over_finds_the_channels_bound(host):
    host.kernel.create(5, port=8)
    host.toolstack.ask("INTRODUCE", b"5\x001\x008\0")
    connection = host.daemon.domains.get(5).connection
    connection.port = 17  # as C xenstored's stream has it: the daemon's own end
    host.xen.part(leaving=True)
    [events] = host.xen.descriptors()
    before = dict(host.kernel.bound)
    local = host.kernel.local(5)
    after = Xen(host.kernel, events, {connection.serial: local})
    after.daemon = host.daemon
    after.resume(connection)
    assert (after.client(connection).port, connection.port) == (local, 8)
    assert host.kernel.bound == before | {after.virq: "virq"}
    # It did not become one, after all.
    after.part(leaving=True)
    host.xen.part(leaving=False)
    assert host.kernel.bound == before | {host.xen.virq: "virq"}


def test_a_channel_that_is_bound_to_nobody_is_not_taken_over(host):
    connection = host.daemon.connect("ring", 5, privileged=False)
    host.kernel.create(5)
    [events] = host.xen.descriptors()
    host.xen.part(leaving=True)
    after = Xen(host.kernel, events, {connection.serial: 99})
    with pytest.raises(OSError, match="port 99 is bound to no domain"):
        after.resume(connection)
    assert host.kernel.granted == {}


def test_closing_lets_go_of_everything(host):
    host.kernel.create(5)
    host.toolstack.ask("INTRODUCE", b"5\x001\x001\0")
    host.xen.close()
    assert (host.kernel.granted, host.kernel.bound, host.kernel.open_files) == ({}, {}, {})


@pytest.mark.parametrize("path", NEEDED)
def test_what_is_missing_is_said_by_name_and_nothing_stays_open(path):
    kernel = FakeXen(missing=frozenset({path}))
    with pytest.raises(DeviceError, match=f"^{path}: found nothing, expected .*") as said:
        Xen(kernel)
    assert said.value.expected == NEEDED[path]
    assert kernel.open_files == {}


def test_two_xenstoreds_are_one_too_many(host):
    with pytest.raises(DeviceError, match="VIRQ 3 bound already, expected no other xenstored"):
        Xen(host.kernel)


def test_the_hosts_own_is_chosen_where_it_is(kernel, tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO", "xsadapter")
    backend = tmp_path / "xenbus_backend"
    assert chosen(None, Carriers(), backend=str(backend)) is None
    assert f"{backend} is missing, so this is not domain 0" in caplog.text
    backend.touch()
    assert chosen(None, Carriers(), refused=True, backend=str(backend)) is None
    assert "--no-xen" in caplog.text
    monkeypatch.setattr(transport, "Linux", lambda: kernel)
    found = chosen(None, Carriers(), backend=str(backend))
    assert isinstance(found, Xen)
    assert "domctl 0x15" in caplog.text
    monkeypatch.setattr(transport, "Linux", lambda: FakeXen(missing=frozenset({HYPERCALL})))
    with pytest.raises(OSError, match=r"xen-privcmd of Linux 4\.18 or later; --no-xen serves sockets alone"):
        chosen(None, Carriers(), backend=str(backend))
