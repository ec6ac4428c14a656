"""A store that was damaged while nobody served it: the daemon that starts on it serves, whoever meets the damage."""

import rrdstore
from tests.daemon.conversation import Host, Peer
from tests.daemon.processes import running, troubles, until
from tests.faults.test_damage import ILL, MENDED, OPTIONS, fill, flip, told
from xsadapter.engine.daemon import Daemon
from xsadapter.engine.state import ConnectionState, DomainState, State, Told, WatchState
from xsadapter.operations import Kind
from xsadapter.tallying import AT_ONCE
from xsadapter.wire import OK, pack


def test_met_while_clients_are_restored_domain_0_is_told_what_may_have_changed_and_guests_nothing(tmp_path):
    place = tmp_path / "store"
    host = Host()
    path, value = told(ILL)
    home = f"/local/domain/{ILL}"
    with rrdstore.create(place, size="8MiB", keep="last:8") as store:
        daemon = Daemon(store, host)
        daemon.begin("boot")
        peer = Peer(daemon)
        for number in range(1, 200):
            other, bytes_ = told(number)
            assert peer.ask("WRITE", other.encode() + b"\0" + bytes_) == b"OK\0"
        assert peer.ask("SET_PERMS", f"{path}\0n{ILL}\0".encode()) == b"OK\0"
        before = daemon.head.number
    assert flip(place, value)
    state = State(
        serial=3,
        domains=(DomainState(ILL, host.lives.get(ILL, 1000 + ILL), 0, ()),),
        connections=(
            ConnectionState(1, 0, "pid 1", True),
            ConnectionState(2, ILL, "pid 2", False),
            ConnectionState(3, 0, "pid 3", True),
        ),
        watches=(
            WatchState(1, home, b"above"),
            WatchState(1, f"{path}/below", b"below"),
            WatchState(2, path, b"guest's"),
            WatchState(3, "/tool", b"other"),
        ),
    )
    answer = pack(Kind.RM, 7, 0, OK)
    with rrdstore.open(place) as store:
        daemon = Daemon(store, host)
        changes = [Told(before, ((path, True),), 3, answer)]
        assert daemon.begin("boot", (state, lambda *_: True), changes, at_once=1)
        first, guest, asked = (daemon.connections[serial].output for serial in (1, 2, 3))
        assert first == [
            pack(Kind.WATCH_EVENT, 0, 0, f"{path}/below\0below\0".encode()),
            pack(Kind.WATCH_EVENT, 0, 0, f"{path}\0above\0".encode()),
        ]
        assert guest == []
        assert asked == [answer]
        assert "object" in daemon.troubles.damage


def test_met_by_the_count_of_accounts_it_is_mended_and_who_waits_for_the_count_is_answered(rundir):
    options = (*OPTIONS, "--simulated-xen", str(rundir))
    with running(rundir, *options) as first, first.client() as client:
        for number in range(AT_ONCE + 100):
            client.mkdir(f"/a/{number}")  # Counted before all that lies below /local.
        fill(client)
        for _ in range(64):  # What the newest commits share is read at the start.
            client.write("/last", b"")
        until(lambda: "commits-unstored 0\n" in client.control("metrics"), "a tick")
        first.process.kill()
        first.process.wait()
        path, value = told(ILL)
        assert flip(rundir / "history.rrdb", value)
        with running(rundir, *options) as again, again.client() as later:
            assert later.read("/last") == b""
            assert later.ask(Kind.INTRODUCE, b"5\x001\x007\0") == b"OK\0"
            until(lambda: MENDED in again.log, "that it is mended")
            until(lambda: not troubles(later), "that it is in use")
            assert later.read(told(1)[0]) == told(1)[1]
            assert f"lost: {path}" in again.log
            assert again.stop() == 0
    with rrdstore.open(str(rundir / "history.rrdb"), readonly=True) as store:
        assert store.check() == []
