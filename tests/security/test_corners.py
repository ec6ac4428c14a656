"""What comes up seldom: replays that meet the dead, turns that end with their holder, caches that are full."""

import pytest

from tests.daemon.conversation import Host, Peer, fresh_daemon, ring_of
from tests.security.world import OK
from xsadapter.commands import _handler
from xsadapter.engine import permissions
from xsadapter.operations import BY_NAME
from xsadapter.wire import pack


@pytest.fixture
def ninth(machine, guest):
    """Domain 9 lives, and is in the list of a node of the guest's."""
    machine.guest(9)
    for name in (b"x\0", b"y\0"):
        guest.ask("WRITE", name)
        assert guest.ask("SET_PERMS", name + b"n5\0r9\0") == OK
    return machine


def test_a_replay_that_buries_is_replayed_again(ninth, guest):
    """What the burial changed had been read: the second replay is on the tree without the dead one."""
    number = guest.start()
    assert guest.ask("SET_PERMS", b"y\0n5\0r9\0", number) == OK
    ninth.toolstack.ask("WRITE", b"/local/domain/5/y\0changed")
    (ninth.directory / "dead.9").touch()
    assert guest.ask("TRANSACTION_END", b"T\0", number) == OK
    assert guest.ask("GET_PERMS", b"x\0") == b"n5\0"
    assert guest.ask("GET_PERMS", b"y\0") == b"n5\0r9\0"
    assert ninth.toolstack.ask("READ", b"/local/domain/5/y\0") == b"changed"
    # Told, and not counted: it was set when nobody had the number any more.
    ninth.reuse(9, 99)
    assert ninth.guest(9).ask("READ", b"/local/domain/5/y\0") == "EACCES"


def test_a_replay_that_buries_somewhere_else_is_settled_once(ninth, guest):
    """The burial settles what it changed; the END settles what came after. (The accounts are recounted at the end.)"""
    assert guest.ask("SET_PERMS", b"y\0n5\0") == OK
    number = guest.start()
    assert guest.ask("SET_PERMS", b"y\0n5\0r9\0", number) == OK
    ninth.toolstack.ask("WRITE", b"/local/domain/5/y\0changed")
    (ninth.directory / "dead.9").touch()
    assert guest.ask("TRANSACTION_END", b"T\0", number) == OK
    assert guest.ask("GET_PERMS", b"x\0") == b"n5\0"
    assert ninth.daemon.domains.get(9) is None


def test_a_replay_that_buries_may_find_that_an_answer_is_another(ninth, guest):
    number = guest.start()
    assert guest.ask("GET_PERMS", b"x\0", number) == b"n5\0r9\0"
    assert guest.ask("SET_PERMS", b"y\0n5\0r9\0", number) == OK
    ninth.toolstack.ask("WRITE", b"/local/domain/5/y\0changed")
    (ninth.directory / "dead.9").touch()
    assert guest.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"


def lose(machine, loser, path, winner):
    """`loser` loses a transaction by `path`, and starts the next, which is its turn."""
    number = loser.start()
    loser.ask("READ", path + b"\0", number)
    winner.ask("WRITE", path + b"\0another")
    loser.ask("WRITE", path + b"\0mine", number)
    assert loser.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    assert machine.daemon.turns.deadline is None
    return loser.start()


def test_a_turn_ends_with_its_holder_and_who_waits_goes_on(machine):
    holder, waiter = Peer(machine.daemon), machine.toolstack
    machine.node(b"/k", b"n0\0")
    lose(machine, holder, b"/k", waiter)
    for operation, payload in (("SET_PERMS", b"/k\0n1\0"), ("WRITE", b"/k\0v"), ("RM", b"/k\0")):
        waiter.feed(pack(BY_NAME[operation].number, 1, 0, payload))
        assert waiter.connection.held is not None, operation
        assert machine.daemon.turns.deadline is not None
        if operation != "RM":
            waiter.connection.held = None
    machine.daemon.disconnect(holder.connection)
    machine.daemon.disconnect(holder.connection)
    assert machine.daemon.flow.resumed == [waiter.connection]
    waiter.feed(b"")
    assert [message.payload for message in waiter.take()] == [OK]
    assert machine.daemon.turns.deadline is None


def test_turns_on_other_paths_are_nobodys_hindrance(machine):
    one, two = Peer(machine.daemon), Peer(machine.daemon)
    for peer, path in ((one, b"/a"), (two, b"/b")):
        machine.node(path, b"n0\0")
        lose(machine, peer, path, machine.toolstack)
    assert len(machine.daemon.turns.held) == 2
    assert machine.toolstack.ask("WRITE", b"/c\0") == OK


def test_a_second_introduction_that_fails_leaves_the_first():
    host = Host()
    daemon = fresh_daemon(host)
    toolstack = Peer(daemon)
    assert toolstack.ask("INTRODUCE", b"5\x001\x007\0") == OK
    host.refuses.add(5)
    assert toolstack.ask("INTRODUCE", b"5\x001\x009\0") == "EINVAL"
    assert host.rings == {5: 7}
    assert ring_of(daemon, 5).ask("READ", b"/tool\0") == "EACCES"
    daemon.store.close()


def test_without_a_hypervisor_nobody_is_introduced():
    daemon = fresh_daemon()
    toolstack = Peer(daemon)
    assert toolstack.ask("INTRODUCE", b"5\x001\x009\0") == "EINVAL"
    assert daemon.domains.get(5) is None or not daemon.domains.get(5).introduced
    assert toolstack.ask("IS_DOMAIN_INTRODUCED", b"5\0") == b"F\0"
    daemon.hypervisor.disconnect(toolstack.connection)
    daemon.store.close()


def test_domain_0_has_a_ring_too_and_is_never_stalled(machine, guest):
    assert machine.toolstack.ask("INTRODUCE", b"0\x001\x007\0") == OK
    connection = machine.xen.clients[1000].connection
    assert connection.privileged
    assert not connection.stalled
    assert machine.told() == []


def test_lists_are_parsed_again_when_too_many_are_remembered(monkeypatch):
    monkeypatch.setattr(permissions, "_INTERNED_MAX", len(permissions._interned) + 3)
    for domid in range(10):
        meta = b"n%d\0r1\0" % domid
        assert permissions.intern(meta) == meta
        assert permissions.owner(meta) == domid
    assert len(permissions._interned) <= permissions._INTERNED_MAX


def test_listings_are_made_again_when_too_many_are_remembered(machine, guest):
    for number in range(300):
        machine.toolstack.ask("MKDIR", b"/d%d/x\0" % number)
        assert machine.toolstack.ask("DIRECTORY", b"/d%d\0" % number) == b"x\0"
    assert machine.toolstack.ask("DIRECTORY", b"/d0\0") == b"x\0"
    assert len(machine.daemon.listings) <= 256


def test_a_node_with_too_many_names_bears_no_value_of_a_guest(machine, guest):
    """Its names are not even counted: each takes two bytes at least."""
    for number in range(1100):
        machine.toolstack.ask("MKDIR", b"/local/domain/5/%d\0" % number)
    assert guest.ask("WRITE", b"/local/domain/5\0v") == "ENOSPC"
    assert guest.ask("MKDIR", b"new\0") == "ENOSPC"
    assert guest.ask("RM", b"0\0") == OK


def test_events_may_wait_for_ever_if_the_owner_wants_so(machine, guest):
    machine.daemon.flow.event_timeout = 0
    assert guest.ask("WATCH", b"x\0t\0") == OK
    guest.events()
    machine.toolstack.ask("WRITE", b"/local/domain/5/x\0")
    machine.daemon.flow.now += 1000
    assert machine.daemon.expire()
    machine.turn()
    assert guest.events() == [(b"x", b"t")]


def test_who_wants_to_know_which_domain_is_not_told_of_some(machine, guest, victim):
    toolstack = machine.toolstack
    toolstack.ask("WATCH", b"@releaseDomain\0which\x001\0")
    toolstack.take()
    for domid in (5, 6):
        (machine.directory / f"dom.{domid}").write_text(f"{0x100000 + domid} shutdown halt\n")
    machine.kick(1)
    assert toolstack.events() == [(b"@releaseDomain/5", b"which"), (b"@releaseDomain/6", b"which")]


def test_a_row_without_a_handler_is_found_at_import():
    with pytest.raises(LookupError, match="nosuch"):
        _handler(BY_NAME["READ"]._replace(handler="nosuch"))
