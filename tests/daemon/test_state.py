"""The state beside the tree: taken from one daemon and given to another on the same store, nothing is missing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from tests.daemon.conversation import NUMBERS, Host, Peer, ring_of
from tests.daemon.test_accounts import check
from xsadapter.engine.daemon import Daemon
from xsadapter.engine.state import State, describe
from xsadapter.wire import pack

OK = b"OK\0"


class House:
    """A store that stays, and the daemons on it."""

    def __init__(self):
        self.store, self.host = rrdstore.memory(), Host()
        self.daemon = Daemon(self.store, self.host)
        self.daemon.begin("boot")

    def again(self, boot="boot", took=lambda _connection, _state: True, *, handed=False):
        """A daemon that takes over, from one that was killed or that has `handed` over."""
        state = describe(self.daemon, handed=handed)
        self.daemon = Daemon(self.store, self.host)
        self.daemon.begin(boot, (state, took))
        return state

    def peer(self, serial):
        peer = Peer.__new__(Peer)
        peer.daemon, peer.connection, peer.request = self.daemon, self.daemon.connections[serial], 100
        return peer


@pytest.fixture
def house():
    made = House()
    yield made
    check(made.daemon)
    made.store.close()


def came(connection, data):
    """What came of a request, which its ring has let go of if it came by one."""
    connection.reader.feed(data)
    connection.let_go = connection.reader.taken + connection.reader.pending


def introduced(house, domid=5):
    toolstack = Peer(house.daemon)
    home = b"/local/domain/%d\0" % domid
    assert toolstack.ask("MKDIR", home) == OK
    assert toolstack.ask("SET_PERMS", home + b"n%d\0" % domid) == OK
    assert toolstack.ask("SET_FEATURE", b"%d\x004\0" % domid) == OK
    assert toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid) == OK
    return toolstack


def test_what_was_described_is_described_again(house):
    toolstack = introduced(house)
    introduced(house, 6)
    assert toolstack.ask("SET_TARGET", b"5\x006\0") == OK
    assert toolstack.ask("SET_QUOTA", b"6\0watches\x007\0") == OK
    assert toolstack.ask("SET_QUOTA", b"nodes\x0077\0") == OK
    guest = ring_of(house.daemon, 5)
    for watch in (b"data\0w\0", b"/local\0w\x003\0", b"@releaseDomain\0w\x001\0"):
        assert guest.ask("WATCH", watch) == OK
    assert toolstack.ask("WATCH", b"/\0all\0") == OK
    guest.start()
    number = toolstack.start()
    assert toolstack.ask("READ", b"/tool\0", number) == b""
    came(guest.connection, pack(2, 9, 0, b"/tool\0")[:18])
    assert toolstack.ask("WRITE", b"/local/domain/5/data\0x") == OK
    before = house.again()
    assert describe(house.daemon) == before
    (guest_state,) = (each for each in before.connections if each.domid == 5)
    assert len(guest_state.input) == 18
    assert len(guest_state.output) == 2
    assert {each.used for client in before.connections for each in client.transactions} == {False, True}


def test_watches_tell_as_before(house):
    toolstack = introduced(house)
    guest = ring_of(house.daemon, 5)
    assert guest.ask("WATCH", b"data\0rel\0") == OK
    assert guest.ask("WATCH", b"/local/domain/5\0flat\x000\0") == OK
    house.again()
    toolstack = house.peer(toolstack.connection.serial)
    guest = ring_of(house.daemon, 5)
    guest.take()
    assert toolstack.ask("WRITE", b"/local/domain/5/data\0x") == OK
    assert guest.events() == [(b"data", b"rel")]
    guest.request = 200
    assert guest.ask("UNWATCH", b"data\0rel\0") == OK
    assert guest.ask("WATCH", b"/local/domain/5\0flat\0") == "EEXIST"


def test_a_half_read_request_is_finished_and_a_waiting_reply_delivered(house):
    peer = Peer(house.daemon)
    whole = pack(2, 9, 0, b"/tool\0")
    peer.connection.reader.feed(pack(2, 8, 0, b"/tool\0"))
    house.daemon.step(peer.connection)
    peer.connection.sent(5)
    peer.connection.reader.feed(whole[:20])
    house.again()
    again = house.peer(peer.connection.serial)
    assert again.connection.begun
    again.feed(whole[20:])
    assert b"".join(again.connection.output) == (pack(2, 8, 0, b"") + pack(2, 9, 0, b""))[5:]


def test_what_a_ring_holds_yet_is_read_there_again(house):
    introduced(house)
    guest = ring_of(house.daemon, 5)
    first, second = pack(2, 9, 0, b"/tool\0"), pack(2, 10, 0, b"/tool\0")
    came(guest.connection, first[:18])
    guest.connection.reader.feed(first[18:] + second[:7])
    before = house.again()
    (known,) = (each for each in before.connections if each.domid == 5)
    assert known.input == first[:18]
    again = ring_of(house.daemon, 5).connection
    assert (again.reader.rest, again.let_go - again.done) == (first[:18], 18)


def test_after_a_kill_an_unused_transaction_goes_on_and_a_used_one_ends_in_eagain(house):
    peer = Peer(house.daemon)
    fresh, used = peer.start(), peer.start()
    assert peer.ask("WRITE", b"/half\0x", used) == OK
    house.again()
    peer = house.peer(peer.connection.serial)
    assert peer.ask("WRITE", b"/whole\0x", fresh) == OK
    assert peer.ask("WRITE", b"/rest\0x", used) == OK
    assert peer.ask("TRANSACTION_END", b"T\0", fresh) == OK
    assert peer.ask("TRANSACTION_END", b"T\0", used) == "EAGAIN"
    assert peer.ask("DIRECTORY", b"/\0") == b"tool\0whole\0"
    assert peer.start() == used + 1


def test_a_used_transaction_that_is_handed_over_goes_on_with_what_it_has_read_and_written(house):
    peer = Peer(house.daemon)
    number = peer.start()
    assert peer.ask("READ", b"/absent\0", number) == "ENOENT"
    assert peer.ask("DIRECTORY", b"/\0", number) == b"tool\0"
    assert peer.ask("WRITE", b"/mine/a\0\xff\0", number) == OK
    house.again(handed=True)
    house.again(handed=True)
    peer = house.peer(peer.connection.serial)
    assert peer.ask("READ", b"/mine/a\0") == "ENOENT"
    assert peer.ask("READ", b"/mine/a\0", number) == b"\xff\0"
    assert Peer(house.daemon).ask("WRITE", b"/tool/later\0x") == OK
    assert peer.ask("TRANSACTION_END", b"T\0", number) == OK
    assert peer.ask("READ", b"/mine/a\0") == b"\xff\0"


CONFLICTS = {
    "a value": ("READ", b"/tool\0", ("WRITE", b"/tool\0x")),
    "what is not there": ("READ", b"/absent\0", ("WRITE", b"/absent\0x")),
    "a listing": ("DIRECTORY", b"/tool\0", ("MKDIR", b"/tool/new\0")),
    "permissions": ("GET_PERMS", b"/tool\0", ("SET_PERMS", b"/tool\0n7\0")),
}


@pytest.mark.parametrize(("operation", "payload", "change"), CONFLICTS.values(), ids=CONFLICTS)
def test_handed_over_after_a_conflict_it_shows_what_is_now_and_ends_in_eagain(house, operation, payload, change):
    peer = Peer(house.daemon)
    number = peer.start()
    peer.ask(operation, payload, number)
    assert peer.ask("WRITE", b"/mine\0x", number) == OK
    Peer(house.daemon).ask(*change)
    house.again(handed=True)
    peer = house.peer(peer.connection.serial)
    assert peer.ask("READ", b"/mine\0", number) == b"x"
    assert peer.ask(operation, payload, number) == peer.ask(operation, payload)
    house.again(handed=True)
    peer = house.peer(peer.connection.serial)
    assert peer.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    assert peer.ask("READ", b"/mine\0") == "ENOENT"


def test_a_guest_s_is_charged_as_before_and_its_quota_counts_on(house):
    introduced(house)
    guest = ring_of(house.daemon, 5)
    number = guest.start()
    for name in b"abc":
        assert guest.ask("WRITE", b"%c\0value" % name, number) == OK
    usage = house.daemon.domains.get(5).usage
    before = usage.memory, usage.transactions
    house.again(handed=True)
    usage = house.daemon.domains.get(5).usage
    assert (usage.memory, usage.transactions) == before
    guest = ring_of(house.daemon, 5)
    guest.request = 100
    assert guest.ask("TRANSACTION_END", b"T\0", number) == OK
    assert guest.ask("READ", b"b\0") == b"value"


INSIDE = st.sampled_from(
    [
        ("READ", b"/a\0"),
        ("READ", b"/a/b\0"),
        ("DIRECTORY", b"/\0"),
        ("DIRECTORY", b"/a\0"),
        ("GET_PERMS", b"/a\0"),
        ("WRITE", b"/a\x001"),
        ("WRITE", b"/a/b\x002"),
        ("WRITE", b"/c/d/e\x003"),
        ("MKDIR", b"/a/m\0"),
        ("RM", b"/a\0"),
        ("RM", b"/c\0"),
        ("SET_PERMS", b"/a\0n0\0r5\0"),
    ]
)


@given(st.lists(INSIDE, max_size=6), st.lists(st.tuples(st.booleans(), INSIDE), max_size=8))
@settings(max_examples=60)
def test_handed_over_with_nothing_changed_meanwhile_it_is_answered_as_if_it_had_not_been(first, then):
    said = []
    for moves in (False, True):
        house = House()
        peer, other = Peer(house.daemon), Peer(house.daemon)
        peer.ask("WRITE", b"/a\x000")
        number = peer.start()
        answers = [peer.ask(*request, number) for request in first]
        if moves:
            house.again(handed=True)
            peer, other = house.peer(peer.connection.serial), house.peer(other.connection.serial)
        answers += [peer.ask(*request, number) if inside else other.ask(*request) for inside, request in then]
        answers.append(peer.ask("TRANSACTION_END", b"T\0", number))
        tree = [(path, node.value, node.meta) for path, node in house.daemon.head.tree.descend("/")]
        said.append((answers, tree))
        house.store.close()
    assert said[0] == said[1]


def test_who_cannot_be_carried_ends_and_a_ring_is_ignored_until_its_domain_dies(house):
    toolstack = introduced(house)
    assert toolstack.ask("WATCH", b"@releaseDomain\0r\0") == OK
    gone = Peer(house.daemon)
    house.again(took=lambda connection, _: connection.serial == toolstack.connection.serial)
    assert gone.connection.serial not in house.daemon.connections
    assert house.daemon.domains.get(5).connection.ignored
    watcher = house.peer(toolstack.connection.serial)
    house.host.kill(5)
    house.again()
    watcher = house.peer(toolstack.connection.serial)
    assert (b"@releaseDomain", b"r") in watcher.events()
    assert house.daemon.domains.get(5) is None


def test_another_domain_with_the_number_inherits_nothing(house):
    introduced(house)
    house.host.reuse(5)
    house.again()
    assert house.daemon.domains.get(5) is None


def test_the_state_of_another_boot_is_not_looked_at(house):
    introduced(house)
    house.again(boot="another")
    assert describe(house.daemon).connections == ()
    assert describe(house.daemon).domains == describe(Daemon(rrdstore.memory(), house.host)).domains


ASKED = st.sampled_from(
    [
        ("WATCH", b"a\0t\0"),
        ("WATCH", b"/local\0t\x001\0"),
        ("UNWATCH", b"a\0t\0"),
        ("RESET_WATCHES", b"\0"),
        ("TRANSACTION_START", b"\0"),
        ("WRITE", b"/local/domain/5/x\0v"),
        ("RM", b"/local/domain/5/x\0"),
        ("INTRODUCE", b"5\x001\x007\0"),
        ("INTRODUCE", b"6\x001\x007\0"),
        ("RELEASE", b"6\0"),
        ("SET_TARGET", b"5\x006\0"),
        ("SET_QUOTA", b"5\0watches\x009\0"),
        ("TRANSACTION_END", b"T\0"),
    ]
)


@given(st.lists(st.tuples(st.integers(0, 3), ASKED), max_size=25))
@settings(max_examples=60)
def test_taken_over_after_any_conversation_the_state_is_the_same(asked):
    house = House()
    introduced(house)
    introduced(house, 6)
    for who, (operation, payload) in asked:
        clients = list(house.daemon.connections)
        peer = house.peer(clients[who % len(clients)])
        number = next(iter(peer.connection.transactions), 0) if operation in {"WRITE", "RM", "TRANSACTION_END"} else 0
        came(peer.connection, pack(NUMBERS[operation], 1, number, payload))
        house.daemon.step(peer.connection)
    before = house.again()
    assert isinstance(before, State)
    assert describe(house.daemon) == before
    check(house.daemon)
    house.store.close()
