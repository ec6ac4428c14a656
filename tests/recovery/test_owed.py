"""What guests are to be told when they read outlives the daemon: written down, and handed over."""

import contextlib
import tempfile
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
from xsadapter.recovery import log
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
