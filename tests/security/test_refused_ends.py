"""A domain dies while the store takes nothing: nobody with its number inherits, and the end comes when it can."""

import pytest

from rrdstore import Held, StoreFull
from tests.security.world import OK
from xsadapter.wire import pack


@pytest.fixture(params=[StoreFull, Held])
def refusing(machine, guest, monkeypatch, request):
    """From now on the store refuses, until `undo`."""
    machine.node(b"/read", b"n0\0r5\0", b"secret")
    machine.node(b"/owned", b"n5\0", b"secret")
    machine.toolstack.ask("WATCH", b"@releaseDomain\0t\0")
    machine.toolstack.take()

    def refuse(*_, **__):
        raise request.param.__new__(request.param)

    monkeypatch.setattr(type(machine.daemon.branch._ledger), "commit", refuse)
    return monkeypatch


def test_a_death_ends_the_ring_and_is_told_and_the_rest_follows(machine, guest, refusing):
    machine.die(5)
    assert machine.xen.clients == {}
    assert machine.told() == [b"@releaseDomain"]
    assert machine.toolstack.ask("IS_DOMAIN_INTRODUCED", b"5\0") == b"F\0"
    assert machine.toolstack.ask("READ", b"/owned\0") == b"secret"
    refusing.undo()
    machine.daemon.tick()
    assert machine.daemon.domains.get(5) is None
    assert machine.toolstack.ask("READ", b"/owned\0") == "ENOENT"
    assert machine.toolstack.ask("GET_PERMS", b"/read\0") == b"n0\0"
    assert machine.told() == []


def test_the_next_domain_with_the_number_has_to_wait(machine, guest, refusing):
    machine.reuse(5, 77)
    for operation, payload in (("INTRODUCE", b"5\x001\x007\0"), ("SET_FEATURE", b"5\x004\0")):
        assert machine.toolstack.ask(operation, payload) in {"ENOSPC", "EBUSY"}
    machine.kick(1)
    assert machine.told() == [b"@releaseDomain"]
    assert machine.toolstack.ask("INTRODUCE", b"5\x001\x007\0") in {"ENOSPC", "EBUSY"}
    refusing.undo()
    machine.daemon.tick()
    assert machine.guest(5).ask("READ", b"/read\0") == "EACCES"
    assert machine.told() == []


def test_a_release_that_is_refused_does_nothing(machine, guest, refusing):
    assert guest.ask("WATCH", b"x\0t\0") == OK
    number = guest.start()
    guest.events()
    assert machine.toolstack.ask("RELEASE", b"5\0") in {"ENOSPC", "EBUSY"}
    assert machine.told() == []
    assert guest.ask("READ", b"/owned\0", number) == b"secret"
    refusing.undo()
    assert guest.ask("WRITE", b"x\0", number) == OK
    assert guest.ask("TRANSACTION_END", b"T\0", number) == OK
    assert guest.events() == [(b"x", b"t")]
    guest.put(pack(2, 0, 0, b"x\0"))
    assert [message.kind for message in machine.toolstack.exchange("RELEASE", b"5\0")] == ["EVENT", "RELEASE"]
