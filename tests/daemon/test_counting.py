"""A daemon that is started again on a large tree counts while it serves: in the end its accounts are a recount's."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdstore import Corrupt
from tests.daemon.conversation import Host, Peer, fresh_daemon, ring_of
from tests.daemon.test_accounts import HOMES, check, requests
from xsadapter.engine import lives
from xsadapter.engine.daemon import Daemon
from xsadapter.engine.state import describe
from xsadapter.tallying import Tallying
from xsadapter.wire import pack

OK = b"OK\0"

asked = st.tuples(st.sampled_from([0, 5, 6]), requests)
later = st.one_of(
    asked,
    st.tuples(st.just("count"), st.integers(1, 6)),
    st.tuples(st.sampled_from(["kill", "reuse", "release"]), st.sampled_from([5, 6])),
)


def again(daemon, host, at_once):
    """Another daemon on the same store, with the same clients."""
    found = Daemon(daemon.store, host)
    assert found.begin("boot", (describe(daemon), lambda _connection, _state: True), at_once=at_once)
    return found


def host_of_two():
    host = Host()
    daemon = fresh_daemon(host)
    toolstack = Peer(daemon)
    for domid, home in HOMES.items():
        toolstack.ask("MKDIR", home + b"\0")
        toolstack.ask("SET_PERMS", home + b"\0n%d\0" % domid)
        toolstack.ask("INTRODUCE", b"%d\x001\x001\0" % domid)
    return host, daemon, toolstack


def broken(*_):
    raise Corrupt("an object", "nothing", "its bytes")


def everybody(daemon):
    """Those who may go on, do."""
    for connection in list(daemon.connections.values()):
        while not connection.closed and daemon.step(connection):
            pass


@settings(max_examples=150)
@given(st.lists(asked, max_size=20), st.integers(0, 12), st.lists(later, max_size=20))
def test_what_is_counted_while_it_changes_is_what_a_recount_finds(before, at_once, meanwhile):
    host, first, toolstack = host_of_two()
    peers = {0: toolstack, 5: ring_of(first, 5), 6: ring_of(first, 6)}
    for domid, (kind, path, rest) in before:
        peers[domid].feed(pack(kind, 1, 0, path + b"\0" + rest))
    second = again(first, host, at_once)
    for step in meanwhile:
        match step:
            case ["count", count]:
                second.count(count)
            case ["kill", domid]:
                host.kill(domid)
                lives.scan(second)
            case ["reuse", domid]:
                host.reuse(domid)
                lives.scan(second)
            case ["release", domid]:
                Peer(second).feed(pack(9, 1, 0, b"%d\0" % domid))
            case [domid, (kind, path, rest)]:
                ring = second.domains.get(domid)
                mine = Peer(second) if not domid else ring and ring.connection and ring_of(second, domid)
                if mine and not mine.connection.stalled:
                    mine.feed(pack(kind, 1, 0, path + b"\0" + rest))
    while second.counting is not None:
        second.count(3)
    everybody(second)
    check(second)
    assert not [connection for connection in second.connections.values() if connection.held]
    assert not [notice for notice in second.notices if notice.fault]


def test_what_needs_an_account_waits_and_nothing_else():
    host, first, toolstack = host_of_two()
    toolstack.ask("WRITE", b"/local/domain/5/name\0web")
    toolstack.ask("SET_QUOTA", b"5\0nodes\x002\0")
    second = again(first, host, 0)
    toolstack, guest = Peer(second), ring_of(second, 5)
    assert guest.ask("READ", b"name\0") == b"web"
    assert toolstack.ask("WRITE", b"/local/domain/5/x\0") == OK
    guest.feed(pack(11, 1, 0, b"y\0"))
    assert guest.take() == []
    asking, releasing = Peer(second), Peer(second)
    releasing.feed(pack(9, 2, 0, b"6\0"))
    asking.feed(pack(0, 3, 0, b"quota\x005\0"))
    assert (asking.take(), releasing.take()) == ([], [])
    assert toolstack.ask("CONTROL", b"print\0here\0") == OK
    assert second.counting.wanted
    second.count(1000)
    assert second.counting is None
    assert {each.serial for each in second.flow.resumed} == {
        each.connection.serial for each in (guest, asking, releasing)
    }
    everybody(second)
    assert guest.take()[0].payload == b"ENOSPC\0", "two of two were there, and now three"
    assert releasing.take()[0].payload == OK
    assert b"nodes" in asking.take()[0].payload
    check(second)


def test_who_died_meanwhile_is_buried_when_all_is_counted_and_nobody_inherits():
    host, first, _ = host_of_two()
    host.reuse(5)
    second = again(first, host, 0)
    lives.scan(second)
    assert lives.confine(second, 5, "pid 1 (test)") is None
    introducing = Peer(second)
    introducing.feed(pack(8, 1, 0, b"5\x001\x001\0"))
    assert introducing.take() == []
    assert "/local/domain/5" in second.branch.tree
    second.count(1000)
    assert "/local/domain/5" not in second.branch.tree
    everybody(second)
    assert introducing.take()[0].payload == OK
    assert second.domains.get(5).unique == host.life(5).unique
    check(second)


def test_a_part_that_cannot_be_loaded_has_all_counted_anew():
    host, first, _ = host_of_two()
    second = again(first, host, 3)
    whole = second.counting._nodes

    second.counting._nodes = chain([next(whole)], map(broken, whole))
    assert Peer(second).ask("WRITE", b"/new\0") == OK
    with pytest.raises(Corrupt):
        second.count(1000)
    assert second.counting is not None
    second.count(1000)
    assert second.counting is None
    check(second)


def test_counts_that_were_told_are_believed():
    host, first, toolstack = host_of_two()
    toolstack.ask("WRITE", b"/local/domain/5/name\0web")
    second = Daemon(first.store, host)
    charges = {domain.domid: domain.charged for domain in first.domains}
    assert second.begin("boot", (describe(first), lambda _connection, _state: True), charges=charges, at_once=0)
    assert second.counting is None
    check(second)


@pytest.mark.parametrize("at_once", [0, 1000], ids=["later", "at once"])
def test_the_end_of_who_died_meanwhile_is_told_whenever_it_is_counted(at_once):
    host, first, toolstack = host_of_two()
    assert toolstack.exchange("WATCH", b"@releaseDomain\0gone\0")
    host.kill(5)
    second = again(first, host, at_once)
    second.count(1000)
    assert b"@releaseDomain\0gone\0" in b"".join(second.connections[toolstack.connection.serial].output)
    check(second)


def test_the_errand_counts_to_the_end_and_tries_again_what_cannot_be_read(caplog, monkeypatch):
    host, first, _ = host_of_two()
    second = again(first, host, 0)
    errand = Tallying(second)
    first_time = errand.at
    with monkeypatch.context() as patched:
        patched.setattr(Daemon, "count", broken)
        errand.turn(None)
    assert "the accounts cannot be counted: an object" in caplog.text
    assert errand.at > first_time
    while errand.at is not None:
        errand.turn(None)
    assert second.counting is None
    check(second)
