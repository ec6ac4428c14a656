"""What guests are to be told when they read outlives the daemon: written down, and handed over."""

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.conversation import Peer, fresh_daemon
from tests.daemon.test_accounts import check
from tests.security.test_crowds import PATHS, requests, watches
from xsadapter import stream
from xsadapter.engine import events, guest
from xsadapter.engine.daemon import Daemon
from xsadapter.engine.state import describe
from xsadapter.engine.telling import MADE
from xsadapter.recovery import left, log
from xsadapter.recovery.journal import Journal
from xsadapter.stream.incoming import hear
from xsadapter.stream.outgoing import Carriers, told

OK = b"OK\0"


@contextlib.contextmanager
def behind_at_once():
    """Guests are told later as soon as anything waits."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(events, "AT_ONCE", 1)
        patched.setattr(guest, "MADE", 1)
        yield


class House:
    """A daemon that writes down what is beside its tree, and two guests."""

    def __init__(self, directory, of_each):
        self.daemon = fresh_daemon()
        self.journal = Journal(self.daemon, directory, "boot", 1)
        self.journal.start()
        self.log = directory / log.NAME
        self.toolstack = Peer(self.daemon)
        self.guests = [Peer(self.daemon, domid, privileged=False) for domid in (5, 6)]
        for path in PATHS:
            self.toolstack.ask("WRITE", path + b"\0")
            self.toolstack.ask("SET_PERMS", path + b"\0r0\0")
        for each, mine in zip(self.guests, of_each, strict=True):
            for number, (path, depth) in enumerate(mine):
                assert each.ask("WATCH", path + b"\0%d\0" % number + depth) == OK

    def do(self, change):
        inside = self.toolstack.start() if len(change) > 1 else 0
        for operation, path, rest in change:
            self.toolstack.ask(operation, path + b"\0" + rest, inside)
        if inside:
            assert self.toolstack.ask("TRANSACTION_END", b"T\0", inside) == OK

    def turn_ends(self):
        self.journal.persist()
        self.journal.flushed()

    def owed(self, state):
        found = {each.serial: each.owed for each in state.connections}
        return [found[each.connection.serial] for each in self.guests]

    def close(self):
        self.journal.close()
        self.daemon.store.close()


def read_one(peer):
    """What waits, and of the rest one event is made."""
    peer.connection.sent_all()
    peer.connection.make(1)


def is_within(part, whole):
    rest = iter(whole)
    return all(each in rest for each in part)


@settings(max_examples=80)
@given(st.tuples(watches, watches), requests, st.data())
def test_what_is_written_down_is_what_they_are_to_be_told(of_each, asked, data):
    """Turn by turn, as it is when all is written anew."""
    with behind_at_once(), tempfile.TemporaryDirectory() as directory:
        house = House(Path(directory), of_each)
        for change in asked:
            house.do(change)
            one = data.draw(st.sampled_from(house.guests))
            if data.draw(st.booleans()):
                one.take()
            else:
                read_one(one)
            house.turn_ends()
            for found, wanted in zip(
                house.owed(log.read(house.log).state()), house.owed(describe(house.daemon)), strict=True
            ):
                # What was told since is told once more, if anything is left that was not.
                assert is_within(wanted, found)
                assert bool(found) == bool(wanted)
        house.journal.rewriting = True
        house.turn_ends()
        assert house.owed(log.read(house.log).state()) == house.owed(describe(house.daemon))
        house.close()


def by_log(house):
    house.turn_ends()
    logged, now = log.read(house.log).state(), describe(house.daemon)
    rest = {each.serial: each for each in now.connections}
    # The bytes are in what the words say, of which `recovery.left` makes the same.
    return type(logged)(
        logged.limits, logged.serial, logged.domains,
        tuple(
            type(each)(
                each.serial, each.domid, each.peer, each.privileged,
                output=rest[each.serial].output, begun=rest[each.serial].begun, owed=each.owed,
            )
            for each in logged.connections
        ),
        logged.watches,
    )  # fmt: skip


def by_stream(house):
    carriers = Carriers(sockets={serial: 100 + serial for serial in house.daemon.connections})
    said = stream.encode(told(describe(house.daemon, handed=True), carriers, None, "1"))
    return hear(stream.decode(b"".join(said)), str).state(house.daemon.domains.unique)


@pytest.mark.parametrize("way", [by_log, by_stream])
@settings(max_examples=60)
@given(st.tuples(watches, watches), requests)
def test_who_takes_over_tells_the_same(way, of_each, asked):
    with behind_at_once(), tempfile.TemporaryDirectory() as directory:
        house = House(Path(directory), of_each)
        for change in asked:
            house.do(change)
        read_one(house.guests[0])
        state = way(house)
        other = Daemon(house.daemon.store)
        assert other.begin("boot", (state, lambda _connection, _state: True))
        for each in house.guests:
            here, same = each.events(), Peer.__new__(Peer)
            same.daemon, same.connection = other, other.connections[each.connection.serial]
            found = same.events()
            assert set(found) == set(here)
            assert list(dict.fromkeys(path for path, _ in found)) == list(dict.fromkeys(path for path, _ in here))
            assert not same.connection.behind
        check(other)
        house.close()


def test_another_program_has_each_watch_tell_its_own_path(tmp_path):
    with behind_at_once():
        house = House(tmp_path, [[(b"/p", b""), (b"/q", b"")], []])
        house.do([("WRITE", b"/p/a", b"v")])
        house.do([("WRITE", b"/p/b", b"v")])
        state = describe(house.daemon)
        serial = house.guests[0].connection.serial
        assert house.owed(state)[0]
        ring = tuple(
            type(each)(each.serial, each.domid, "ring", each.privileged, owed=each.owed)
            for each in state.connections
            if each.serial == serial
        )
        state = type(state)(state.limits, state.serial, state.domains, ring, state.watches)
        records = [*told(state, Carriers(), None, None)]
        (one,) = (each for each in records if isinstance(each, stream.Connection))
        assert b"/p\x000\0" in one.unsent
        assert b"/q\x001\0" in one.unsent
        house.close()


def a_ring(daemon, domid, *paths):
    """A guest's, that watches."""
    connection = daemon.connect("ring", domid, privileged=False)
    daemon.domains.record(domid).connection = connection
    for path in paths:
        daemon.watches.add(connection, path, b"token", None, 0)
    return connection


def of_readable(daemon, *paths):
    toolstack = Peer(daemon)
    for path in paths:
        assert toolstack.ask("WRITE", path + b"\0") == OK
        assert toolstack.ask("SET_PERMS", path + b"\0r0\0") == OK
    return toolstack


def turn_ends(journal, *connections):
    journal.persist()
    for connection in connections:
        journal.unsent(connection)
    journal.flushed()


def test_what_is_made_of_it_is_written_down_with_that_it_was_all(tmp_path):
    daemon = fresh_daemon()
    toolstack = of_readable(daemon, b"/data")
    guest = a_ring(daemon, 5, "/data")
    journal = Journal(daemon, tmp_path, "boot", 1)
    journal.start()
    journal.words.ring_is(5, 0, 0)
    for number in range(MADE + 2):
        toolstack.ask("WRITE", b"/data/%d\0" % number)
    turn_ends(journal, guest)
    assert guest.behind
    guest.sent(sum(map(len, guest.output)))
    guest.written = guest.logged
    journal.words.ring_is(5, 0, guest.written)
    journal.flushed()
    daemon.flow.make()
    journal.persist()
    assert not guest.behind
    # A kill finds it here, before anything is sent.
    found = left.load(tmp_path, "boot", daemon.head.number)
    (there,) = (each for each in found.state.connections if each.domid == 5)
    assert not there.owed
    assert b"".join(there.output) == b"".join(guest.output) != b""
    journal.close()
    daemon.store.close()


def test_the_order_is_each_guest_s_however_often_daemons_are_killed(tmp_path):
    daemon = fresh_daemon()
    paths = [b"/data", b"/data/a", b"/data/b", b"/data/c", *(b"/data/fill%d" % number for number in range(MADE))]
    toolstack = of_readable(daemon, *paths)
    guests = [
        a_ring(daemon, domid, own, "/data/c", *(path.decode() for path in paths[4:]))
        for domid, own in ((5, "/data/a"), (6, "/data/b"))
    ]
    for path in (*paths[4:], b"/data/b", b"/data/a", b"/data/c"):
        toolstack.ask("WRITE", path + b"\0x")
    state = describe(daemon)
    wanted = [[change.path for owed in each.owed for change in owed] for each in state.connections if each.domid]
    assert wanted == [["/data/a", "/data/c"], ["/data/b", "/data/c"]]
    del guests
    for generation in (1, 2, 3):
        other = Daemon(daemon.store)
        # Those of sockets have gone.
        other.begin("boot", (state, lambda connection, _: connection.domid != 0))
        journal = Journal(other, tmp_path, "boot", generation)
        journal.start()
        journal.close()
        state = replace(describe(other), connections=log.read(tmp_path / log.NAME).state().connections)
        state = replace(
            state,
            connections=tuple(
                replace(each, output=then.output)
                for each, then in zip(state.connections, describe(other).connections, strict=True)
            ),
        )
        assert [[change.path for owed in each.owed for change in owed] for each in state.connections] == wanted
    daemon.store.close()


def test_it_waits_as_long_with_the_daemon_that_takes_over(tmp_path):
    daemon = fresh_daemon()
    toolstack = of_readable(daemon, b"/data")
    a_ring(daemon, 5, "/data")
    for number in range(2 * MADE):
        toolstack.ask("WRITE", b"/data/%d\0" % number)
    other = Daemon(daemon.store)
    other.flow.now = 50_000.0
    other.begin("boot", (describe(daemon), lambda connection, _: connection.domid != 0))
    (guest,) = (each for each in other.connections.values() if each.domid)
    assert len(guest.owed) == MADE
    other.flow.now = 50_019.0
    other.expire()
    assert len(guest.owed) == MADE
    other.flow.now = 50_021.0
    other.expire()
    assert not guest.behind
    daemon.store.close()
