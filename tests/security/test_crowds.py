"""Guests that are many and act together: what one does is not multiplied by what others watch.

And who does not read is told when he does.
"""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.conversation import NUMBERS, Peer, fresh_daemon, pair
from tests.daemon.test_accounts import check
from xsadapter.engine import connection as connections
from xsadapter.engine import events, guest, telling
from xsadapter.engine import watches as registrations
from xsadapter.engine.columns import is_plain
from xsadapter.wire import pack

OK = b"OK\0"
MANY = 128


def guest_of(daemon, domid):
    """A guest without a ring, whose home everybody may read."""
    toolstack, home = Peer(daemon), b"/local/domain/%d\0" % domid
    assert toolstack.ask("MKDIR", home) == OK
    assert toolstack.ask("SET_PERMS", home + b"r%d\0" % domid) == OK
    daemon.disconnect(toolstack.connection)
    return Peer(daemon, domid, privileged=False)


@pytest.fixture
def daemon():
    made = fresh_daemon()
    yield made
    assert not [notice for notice in made.notices if notice.fault]
    check(made)


@pytest.fixture
def crowd(daemon):
    """Twelve guests, each with all the watches it may have on what the first one makes."""
    made = [guest_of(daemon, domid) for domid in range(5, 17)]
    for each in made:
        for number in range(MANY):
            assert each.ask("WATCH", b"/local/domain/5/x\0%d\0" % number) == OK
    return made


def counted(monkeypatch, where, name):
    asked, does = [], getattr(where, name)
    monkeypatch.setattr(where, name, functools.wraps(does)(lambda *of: asked.append(of) or does(*of)))
    return asked


def test_xsa_326_an_end_is_not_multiplied_by_what_others_watch(daemon, crowd, monkeypatch):
    """Of a hundred guests with 128 watches each, 900 effects took 8 seconds, in which nobody was served."""
    one = crowd[0]
    number = one.start()
    for name in range(100):
        assert one.ask("WRITE", b"x/%d\0" % name, number) == OK
    one.connection.reader.feed(pack(NUMBERS["TRANSACTION_END"], 1, number, b"T\0"))
    queued = counted(monkeypatch, connections, "event_message")
    judged = counted(monkeypatch, events, "allows")
    daemon.watches.remove_all(one.connection)
    assert daemon.step(one.connection)
    assert len(queued) <= telling.AT_ONCE
    assert len(judged) <= 3 * 100
    for each in crowd[1:]:
        assert len(each.connection.owed) == 1
        told = each.events()
        assert len(told) == len(set(told)) == 100 * MANY
        assert [path for path, _ in told[::MANY]] == [b"/local/domain/5/x/%d" % name for name in range(100)]


def test_a_write_is_not_multiplied_either_and_waits_once(daemon, crowd):
    one, two = crowd[:2]
    for _ in range(50):
        one.ask("WRITE", b"x\0v")
    assert len(two.connection.owed) <= 2, "the one that is being told, and the one after it"
    told = two.events()
    assert len(told) <= 2 * MANY
    assert len(set(told)) == MANY


def test_a_removal_looks_at_what_was_there_and_not_at_all_that_is_watched(daemon, crowd, monkeypatch):
    toolstack = Peer(daemon)
    for each in crowd:
        daemon.watches.remove_all(each.connection)
        for number in range(MANY):
            place = b"/local/domain/5/x/%d/%d" % (each.connection.domid, number)
            assert each.ask("WATCH", place + b"\0t\0") == OK
        each.take()
    toolstack.ask("WRITE", b"/local/domain/5/x/7/3/deep\0")
    crowd[2].take()
    judged = counted(monkeypatch, events, "Change")
    toolstack.ask("RM", b"/local/domain/5/x\0")
    assert [of[0] for of in judged] == ["/local/domain/5/x/7/3"], "the place itself reaches nobody"
    assert crowd[2].events() == [(b"/local/domain/5/x/7/3", b"t")]


def test_of_a_commit_of_more_changes_than_a_guest_has_memory_for_it_is_told_the_first(daemon, crowd):
    """As a whole it was over every guest's quota from 41,000 changes on, and none of it was told."""
    toolstack, two = Peer(daemon), crowd[1]
    for name in (b"x", b"x/%d"):
        assert toolstack.ask("WRITE", b"/local/domain/5/" + (name % 7 if b"%" in name else name) + b"\0") == OK
    for each in crowd:
        each.take()
    room = two.connection.domain.usage.memory + 100_000
    assert toolstack.ask("SET_QUOTA", b"%d\0memory\x00%d\0" % (two.connection.domid, room)) == OK
    number, names = toolstack.start(), 3000
    for name in range(names):
        assert toolstack.ask("WRITE", b"/local/domain/5/x/%d\0v" % name, number) == OK
    assert toolstack.ask("TRANSACTION_END", b"T\0", number) == OK
    assert two.connection.domain.usage.memory <= room
    told = list(dict.fromkeys(path for path, _ in two.events()))
    assert 500 < len(told) < names
    assert told == [b"/local/domain/5/x/%d" % name for name in range(len(told))]
    everything = {path for path, _ in crowd[2].events()}
    assert len(everything) == names


def test_events_that_a_guest_has_no_memory_for_are_not_made(daemon, monkeypatch):
    """Of those that are told at once, too: it watches 128 times, and has memory for three."""
    guest, toolstack = guest_of(daemon, 5), Peer(daemon)
    for number in range(MANY):
        assert guest.ask("WATCH", b"/local/domain/5/a\0%d\0" % number) == OK
    guest.events()
    room = guest.connection.domain.usage.memory + 3 * (256 + 16 + len(b"/local/domain/5/a\x00100\0"))
    assert toolstack.ask("SET_QUOTA", b"5\0memory\x00%d\0" % room) == OK
    queued = counted(monkeypatch, connections, "event_message")
    assert toolstack.ask("WRITE", b"/local/domain/5/a\0v") == OK
    assert 1 <= len(queued) <= 3
    assert len(guest.events()) == len(queued)


def test_what_a_guest_does_to_itself_is_told_before_its_answer(daemon, crowd):
    one = crowd[0]
    found = one.exchange("WRITE", b"x\0v")
    assert [message.kind for message in found] == ["EVENT"] * MANY + ["WRITE"]


def test_guests_take_their_turns_in_being_told(daemon, crowd, monkeypatch):
    """A slice for each that reads; of who does not, nothing is made."""
    crowd[0].ask("WRITE", b"x/a\0v")
    queued = counted(monkeypatch, connections, "event_message")
    daemon.flow.make()
    assert len(queued) <= len(crowd) * telling.SLICE
    waits = [len(each.connection.output) for each in crowd[1:]]
    for _ in range(5):
        daemon.flow.make()
    assert [len(each.connection.output) for each in crowd[1:]] == waits


def test_who_is_behind_is_not_read_and_no_answer_overtakes(machine, guest):
    guest.ask("WATCH", b"x\0t\0")
    guest.events()
    home = b"/local/domain/5/x/"
    for name in range(200):
        machine.toolstack.ask("WRITE", home + b"%03d\0v" % name)
    connection = guest.domain.connection
    assert connection.behind
    assert len(connection.output) <= telling.MADE
    waits, connection.output = connection.output, []
    assert not is_plain(connection), "more is to be handed over of it than its domain and port"
    connection.output = waits
    guest.send(pack(NUMBERS["RM"], 7, 0, b"x/100\0"))
    machine.turn()
    assert machine.toolstack.ask("READ", home + b"100\0") == b"v", "not read while it is behind"
    found = [guest.message() for _ in range(202)]
    assert [message.kind for message in found] == ["EVENT"] * 201 + ["RM"]
    assert [pair(message)[0] for message in found[:200]] == [b"x/%03d" % name for name in range(200)]
    assert not connection.behind


def test_who_caused_it_has_it_outstanding_until_it_is_told_or_too_old(machine, guest, victim):
    machine.node(b"/open", b"b0\0")
    for number in range(telling.AT_ONCE):
        machine.toolstack.ask("SET_QUOTA", b"6\0watches\x001000\0")
        assert victim.ask("WATCH", b"/open\0%d\0" % number) == OK
    for number in range(60):
        assert victim.ask("WATCH", b"/open\0more %d\0" % number) == OK
    victim.events()
    guest.send(b"".join(pack(NUMBERS["WRITE"], 1, 0, b"/open/%d\0" % name) for name in range(30)))
    for _ in range(60):
        guest.kick()
        machine.turn()
    assert guest.domain.usage.outstanding == guest.domain.limits["outstanding"]
    assert len(victim.ring.connection.output) < telling.AT_ONCE
    machine.daemon.flow.now += 21
    machine.daemon.expire()
    machine.turn()
    guest.kick()
    machine.turn()
    assert guest.domain.usage.outstanding <= 11
    assert machine.toolstack.ask("READ", b"/open/29\0") == b""


def test_what_is_owed_ends_with_the_domain_and_counts_for_its_memory(machine, guest, victim):
    victim.ask("WATCH", b"/local/domain/5\0t\0")
    machine.toolstack.ask("SET_PERMS", b"/local/domain/5\0r5\0")
    victim.events()
    for name in range(300):
        assert (
            guest.ask("WRITE", b"%d\0" % name) == OK
            if name < 40
            else machine.toolstack.ask("WRITE", b"/local/domain/5/%d\0" % name)
        )
    assert victim.ring.connection.behind
    before = victim.domain.usage.memory
    machine.toolstack.ask("SET_QUOTA", b"6\0memory\0%d\0" % (before + 600))
    for name in range(300, 310):
        machine.toolstack.ask("WRITE", b"/local/domain/5/%d\0" % name)
    assert before < victim.domain.usage.memory <= before + 600
    machine.die(6)
    assert guest.ask("WRITE", b"after\0") == OK


def test_what_lies_too_deep_or_is_secret_is_not_told_later_either(daemon, crowd):
    one, two = crowd[:2]
    assert two.ask("UNWATCH", b"/local/domain/5/x\x000\0") == OK
    assert two.ask("WATCH", b"/local/domain/5/x\0shallow\x000\0") == OK
    number = one.start()
    for payload in (b"x\0", b"x/open\0", b"x/secret/deep\0"):
        assert one.ask("WRITE", payload, number) == OK
    for path in (b"x/secret\0", b"x/secret/deep\0"):
        assert one.ask("SET_PERMS", path + b"n5\0", number) == OK
    assert one.ask("TRANSACTION_END", b"T\0", number) == OK
    told = two.events()
    # Of what is new and may not be read its parent decides, as ever.
    assert {path for path, _ in told} == {b"/local/domain/5/x" + end for end in (b"", b"/open", b"/secret")}
    assert [path for path, token in told if token == b"shallow"] == [b"/local/domain/5/x"]


# The same events, at once or later

PATHS = [b"/p", b"/p/a", b"/p/a/x", b"/p/b", b"/q"]
LISTS = [b"n0\0b5\0b6\0", b"r0\0", b"n0\0r6\0", b"n5\0", b"b6\0"]
watches = st.lists(st.tuples(st.sampled_from([b"/", *PATHS]), st.sampled_from([b"", b"0\0", b"1\0"])), max_size=6)
changes = st.one_of(
    st.tuples(st.just("WRITE"), st.sampled_from(PATHS), st.just(b"v")),
    st.tuples(st.just("RM"), st.sampled_from(PATHS), st.just(b"")),
    st.tuples(st.just("SET_PERMS"), st.sampled_from(PATHS), st.sampled_from(LISTS)),
)
requests = st.lists(
    st.one_of(changes.map(lambda change: [change]), st.lists(changes, min_size=2, max_size=5)), min_size=1, max_size=14
)


def told_of(of_each, asked, monkeypatch, *, later):
    """What two guests are told, in order, each event as often as it is not equal to one before."""
    with monkeypatch.context() as patched:
        if later:
            patched.setattr(events, "AT_ONCE", 1)
            patched.setattr(guest, "MADE", 1)
            patched.setattr(registrations, "_FEW", 0)
        daemon = fresh_daemon()
        toolstack = Peer(daemon)
        guests = [Peer(daemon, domid, privileged=False) for domid in (5, 6)]
        for path in PATHS:
            toolstack.ask("WRITE", path + b"\0")
        for each, mine in zip(guests, of_each, strict=True):
            for number, (path, depth) in enumerate(mine):
                assert each.ask("WATCH", path + b"\0%d\0" % number + depth) == OK
        for change in asked:
            inside = toolstack.start() if len(change) > 1 else 0
            for operation, path, rest in change:
                toolstack.ask(operation, path + b"\0" + rest, inside)
            if inside:
                assert toolstack.ask("TRANSACTION_END", b"T\0", inside) == OK
        found = [each.events() for each in guests]
        check(daemon)
        daemon.store.close()
        return found


@settings(max_examples=120)
@given(st.tuples(watches, watches), requests)
def test_guests_are_told_the_same_later_as_at_once(of_each, asked):
    with pytest.MonkeyPatch.context() as patched:
        at_once = told_of(of_each, asked, patched, later=False)
        later = told_of(of_each, asked, patched, later=True)
    for here, there in zip(at_once, later, strict=True):
        assert set(here) == set(there)
        # Which path is told when: an event that is equal to one before may come again.
        assert list(dict.fromkeys(path for path, _ in here)) == list(dict.fromkeys(path for path, _ in there))
