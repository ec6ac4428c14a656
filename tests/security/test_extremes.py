"""A tree as deep as a path can be, and a directory of 100,000 names: every operation of the table works in them.

Nothing is recursive in depth, and nothing but what was asked for looks at all the names.
"""

import sys

import pytest

import rrdstore
from tests.daemon.conversation import Host, Peer, fresh_daemon, ring_of
from tests.daemon.test_accounts import check
from xsadapter.engine import lives
from xsadapter.engine.daemon import Daemon
from xsadapter.operations import OPERATIONS, TransactionUse

OK = b"OK\0"
LEVELS, NAMES = 1500, 100_000
DEEP = b"/a" * LEVELS
WIDE = b"/wide"
LISTING = 6 * NAMES

PAYLOADS = {
    "CONTROL": lambda path: b"history\0list\0now\0" + path + b"\0",
    "DIRECTORY": lambda path: path + b"\0",
    "READ": lambda path: path + b"\0",
    "GET_PERMS": lambda path: path + b"\0",
    "WATCH": lambda path: path + b"\0t\0",
    "UNWATCH": lambda path: path + b"\0t\0",
    "TRANSACTION_START": lambda path: b"\0",
    "TRANSACTION_END": lambda path: b"T\0",
    "INTRODUCE": lambda path: b"7\x001\x007\0",
    "RELEASE": lambda path: b"7\0",
    "GET_DOMAIN_PATH": lambda path: b"7\0",
    "WRITE": lambda path: path + b"\0value",
    "MKDIR": lambda path: path + b"/made\0",
    "RM": lambda path: path + b"/made\0",
    "SET_PERMS": lambda path: path + b"\0b7\0",
    "IS_DOMAIN_INTRODUCED": lambda path: b"7\0",
    "RESUME": lambda path: b"7\0",
    "SET_TARGET": lambda path: b"7\x008\0",
    "RESET_WATCHES": lambda path: b"\0",
    "DIRECTORY_PART": lambda path: path + b"\x000\0",
    "GET_FEATURE": lambda path: b"7\0",
    "SET_FEATURE": lambda path: b"9\x001\0",
    "GET_QUOTA": lambda path: b"7\0nodes\0",
    "SET_QUOTA": lambda path: b"7\0nodes\x000\0",
}
EXPECTED = {("wide", "DIRECTORY"): "E2BIG"}
"""All else is answered with success."""


@pytest.fixture(scope="module")
def grown():
    """Both, made below the daemon, whose accounts are settled with one commit."""
    host = Host()
    daemon = fresh_daemon(host)
    before = daemon.head.tree
    with daemon.branch.transaction() as change:
        change.set(WIDE.decode(), b"", meta=b"n0\0")
        for number in range(NAMES):
            change.set(f"/wide/{number:05}", b"", meta=b"n0\0")
    daemon.head.settle(before)
    toolstack = Peer(daemon)
    assert toolstack.ask("WRITE", DEEP + b"\0") == OK
    toolstack.ask("WATCH", DEEP + b"/below\0deep\0")
    yield host, daemon
    assert not [notice for notice in daemon.notices if notice.fault]
    daemon.store.close()


@pytest.mark.parametrize("operation", [operation.name for operation in OPERATIONS])
@pytest.mark.parametrize("inside", [False, True], ids=["live", "transaction"])
@pytest.mark.parametrize("place", [DEEP, WIDE], ids=["deep", "wide"])
def test_every_operation(grown, operation, place, inside):
    _, daemon = grown
    peer = Peer(daemon)
    if operation != "INTRODUCE":
        for domid in (b"7", b"8"):
            assert peer.ask("INTRODUCE", domid + b"\x001\x007\0") == OK
    if operation == "UNWATCH":
        peer.ask("WATCH", place + b"\0t\0")
    if operation == "RM":
        peer.ask("MKDIR", place + b"/made\0")
    number = peer.start() if inside or operation == "TRANSACTION_END" else 0
    if operation == "TRANSACTION_END":
        peer.ask("WRITE", place + b"/made\0", number)
        peer.ask("RM", place + b"/made\0", number)
    reply = peer.ask(operation, PAYLOADS[operation](place), number)
    expected = EXPECTED.get(("wide" if place == WIDE else "deep", operation))
    if operation == "TRANSACTION_START" and inside:
        expected = "EBUSY"
    if expected is not None:
        assert reply == expected
    else:
        assert isinstance(reply, bytes), reply
    if inside and operation not in {"TRANSACTION_END", "RESET_WATCHES"}:
        assert peer.ask("TRANSACTION_END", b"T\0", number) == OK
    assert peer.ask("RM", place + b"/made\0") == OK
    peer.ask("SET_PERMS", place + b"\0n0\0")
    daemon.disconnect(peer.connection)


def test_the_check_of_it_all(grown):
    _, daemon = grown
    peer = Peer(daemon)
    assert isinstance(peer.ask("CONTROL", b"check\0"), bytes)
    daemon.disconnect(peer.connection)


def test_all_names_in_parts(grown):
    _, daemon = grown
    peer, listing = Peer(daemon), b""
    while not listing.endswith(b"\0\0"):
        part = peer.ask("DIRECTORY_PART", WIDE + b"\0%d\0" % len(listing))
        listing += part.partition(b"\0")[2]
    assert listing == b"".join(b"%05d\0" % number for number in range(NAMES)) + b"\0"
    daemon.disconnect(peer.connection)


GUESTS = {
    "READ": (b"", b""),
    "GET_PERMS": (b"b7\0", b"b7\0"),
    "DIRECTORY": (b"a\0", "E2BIG"),
    "DIRECTORY_PART": None,
    "WATCH": (OK, OK),
    "UNWATCH": (OK, OK),
    "WRITE": (OK, "ENOSPC"),
    "MKDIR": (OK, "ENOSPC"),
    "RM": (OK, OK),
    "SET_PERMS": (OK, "ENOSPC"),
    "GET_DOMAIN_PATH": (b"/local/domain/7\0",) * 2,
}
"""What one that owns them is answered, deep and wide: a directory beyond its node-size it may only thin out."""
DEEPEST = b"/a" * 1000  # a path of a guest may have 2048 bytes


@pytest.mark.parametrize("operation", GUESTS)
@pytest.mark.parametrize("inside", [False, True], ids=["live", "transaction"])
@pytest.mark.parametrize("place", [DEEPEST, WIDE], ids=["deep", "wide"])
def test_every_operation_of_a_guest(grown, operation, place, inside):
    _, daemon = grown
    peer = Peer(daemon)
    for path in (place, place + b"/made"):
        assert peer.ask("WRITE", path + b"\0") == OK
        assert peer.ask("SET_PERMS", path + b"\0b7\0") == OK
    assert peer.ask("INTRODUCE", b"7\x001\x007\0") == OK
    guest = ring_of(daemon, 7)
    if operation == "UNWATCH":
        guest.ask("WATCH", place + b"\0t\0")
    number = guest.start() if inside else 0
    reply = guest.ask(operation, PAYLOADS[operation](place + b"/more" if operation == "MKDIR" else place), number)
    if operation == "DIRECTORY":
        reply = b"a\0" if reply == b"a\0made\0" else reply
    if GUESTS[operation] is not None:
        assert reply == GUESTS[operation][place == WIDE]
    if number:
        assert guest.ask("TRANSACTION_END", b"T\0", number) == OK
    for hidden in (b"/tool/x", b"/tool" + b"/n" * 1000):
        assert guest.ask("READ", hidden + b"\0") == "EACCES"
        assert guest.ask("WRITE", hidden + b"\0v") == "EACCES"
    assert peer.ask("RM", place + b"/made\0") == OK
    peer.ask("SET_PERMS", place + b"\0n0\0")
    assert peer.ask("RELEASE", b"7\0") == OK
    daemon.disconnect(peer.connection)


@pytest.mark.parametrize("what", ["values", "permissions"])
def test_a_walk_of_it_all(grown, what):
    _, daemon = grown
    peer = Peer(daemon)
    for path, nodes in ((b"/wide", NAMES + 1), (b"/a", LEVELS)):
        found, reply = 0, peer.ask("CONTROL", b"walk\0" + path + b"\0" + what.encode() + b"\0")
        while count := int.from_bytes(reply[:4], sys.byteorder):
            found += count
            reply = peer.ask("CONTROL", b"walk\0")
        assert found == nodes - 1
    daemon.disconnect(peer.connection)


@pytest.mark.parametrize("top", [WIDE, b"/a"], ids=["wide", "deep"])
def test_all_of_it_is_removed_in_a_transaction(grown, top):
    """And told to who watches below; and it stays, as the transaction is given up or its view is another's."""
    _, daemon = grown
    peer = Peer(daemon)
    number = peer.start()
    assert peer.ask("RM", top + b"\0", number) == OK
    assert peer.ask("READ", top + b"\0", number) == "ENOENT"
    assert peer.ask("READ", top + b"\0") == b""
    assert peer.ask("TRANSACTION_END", b"F\0", number) == OK
    assert peer.ask("READ", top + b"\0") == b""
    daemon.disconnect(peer.connection)


def test_a_guest_that_owns_both_dies(grown):
    """Last: nothing of either is left, and who watched is told."""
    host, daemon = grown
    peer = Peer(daemon)
    for path in (WIDE, b"/a"):
        assert peer.ask("SET_PERMS", path + b"\0n5\0") == OK
    number = peer.start()
    assert peer.ask("WRITE", WIDE + b"/made\0", number) == OK
    assert peer.ask("WRITE", DEEP + b"/made\0", number) == OK
    assert peer.ask("TRANSACTION_END", b"T\0", number) == OK
    assert peer.ask("WATCH", DEEP + b"\0t\0") == OK
    peer.take()
    host.kill(5)
    lives.scan(daemon)
    assert peer.events() == [(DEEP, b"t")]
    assert peer.ask("DIRECTORY", b"/\0") == b"tool\0"
    check(daemon)


def test_every_operation_is_here():
    assert set(PAYLOADS) == {operation.name for operation in OPERATIONS}
    assert any(operation.transaction is TransactionUse.USED for operation in OPERATIONS)


def steps_of(deed):
    """How many functions are called, ours and the interpreter's: what a deed costs, on any machine."""
    called = 0

    def count(_frame, kind, _function):
        nonlocal called
        called += kind in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        deed()
    finally:
        sys.setprofile(before)
    return called


@pytest.mark.parametrize("inside", [False, True])
def test_a_guest_that_names_many_missing_levels_pays_for_each_once(tmp_path, inside):
    """Twice the levels are twice the steps. Ours were once four times as many, and 900 levels took 2.4 s."""
    with rrdstore.create(tmp_path / "store.rrdb", size="32MiB") as store:
        daemon = Daemon(store, Host())
        daemon.begin("boot")
        toolstack = Peer(daemon)
        toolstack.ask("MKDIR", b"/local/domain/5\0")
        toolstack.ask("SET_PERMS", b"/local/domain/5\0n5\0")
        toolstack.ask("INTRODUCE", b"5\x001\x007\0")
        guest = ring_of(daemon, 5)
        found = []
        for levels in (100, 200, 400):
            path = b"/".join([b"a"] * levels)

            def deed(path=path):
                if inside:
                    number = guest.start()
                    assert guest.ask("WRITE", path + b"\0v", number) == OK
                    assert guest.ask("TRANSACTION_END", b"T\0", number) == OK
                else:
                    assert guest.ask("WRITE", path + b"\0v") == OK
                assert guest.ask("READ", path + b"\0") == b"v"
                assert guest.ask("RM", b"a\0") == OK

            store.tick()
            found.append(steps_of(deed))
        assert found[1] < 2.3 * found[0]
        assert found[2] < 2.3 * found[1]
        check(daemon)
