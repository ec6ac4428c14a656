"""What clients find below /@index, and what nobody may."""

import pytest

from tests.daemon.conversation import NUMBERS, Host, Peer, fresh_daemon
from tests.daemon.searching import OK, Session, looked_up, strings
from xsadapter.engine import index, lives
from xsadapter.wire import pack


@pytest.fixture
def daemon():
    return fresh_daemon(Host())


@pytest.fixture
def toolstack(daemon):
    return Peer(daemon)


def name(peer, domid, value, transaction=0):
    assert peer.ask("WRITE", b"/local/domain/%d/name\0%b" % (domid, value), transaction) == OK


def read(peer, path, transaction=0):
    return peer.ask("READ", path.encode() + b"\0", transaction)


def test_a_domain_is_found_by_its_name_and_by_its_uuid(toolstack):
    name(toolstack, 5, b"web1")
    toolstack.ask("WRITE", b"/local/domain/5/vm\0/vm/3b241101-e2bb-4255-8caf-4136c566a962")
    assert read(toolstack, "/@index/name/web1") == b"5"
    assert read(toolstack, "/@index/uuid/3b241101-e2bb-4255-8caf-4136c566a962") == b"5"
    assert read(toolstack, "/@index/name/web2") == "ENOENT"


def test_the_lowest_of_several_answers_and_the_next_one_when_it_has_gone(toolstack):
    for domid in (12, 5, 100, 7):
        name(toolstack, domid, b"web")
    for left in ([5, 7, 12, 100], [7, 12, 100], [12, 100], [100]):
        assert read(toolstack, "/@index/name/web") == b"%d" % left[0]
        assert strings(toolstack.ask("DIRECTORY", b"/@index/name/web\0")) == [str(domid) for domid in left]
        toolstack.ask("RM", b"/local/domain/%d\0" % left[0])
    assert read(toolstack, "/@index/name/web") == "ENOENT"


@pytest.mark.parametrize("path", ["w@65b1", "a@2Fb", "a@2", "a@", "@index", "web1/5", "a@2fb/05"])
def test_another_spelling_finds_nothing(toolstack, path):
    name(toolstack, 5, b"a/b")
    name(toolstack, 6, b"web1")
    assert read(toolstack, "/@index/name/a@2fb") == b"5"
    assert read(toolstack, f"/@index/name/{path}") == "ENOENT"


def test_who_dies_is_found_no_more(daemon, toolstack):
    for domid in (5, 6, 7):
        name(toolstack, domid, b"web")
        toolstack.ask("SET_PERMS", b"/local/domain/%d\0n%d\0" % (domid, domid))
    toolstack.ask("SET_PERMS", b"/local/domain/6/name\0n5\0")
    daemon.hypervisor.kill(5)
    lives.scan(daemon)
    assert strings(toolstack.ask("DIRECTORY", b"/@index/name/web\0")) == ["7"]
    daemon.keep_orphans = True
    daemon.hypervisor.kill(7)
    lives.scan(daemon)
    assert strings(toolstack.ask("DIRECTORY", b"/@index/name/web\0")) == ["7"]


def test_a_name_that_cannot_be_asked_for_is_in_no_index(toolstack):
    longest = 3072 - len("/@index/name/")
    name(toolstack, 5, b"n" * longest)
    name(toolstack, 6, b"n" * (longest + 1))
    assert read(toolstack, "/@index/name/" + "n" * longest) == b"5"
    assert strings(toolstack.ask("DIRECTORY", b"/@index/name\0")) == ["n" * longest]


def test_guests_learn_nothing_and_nobody_changes_anything(daemon, toolstack):
    name(toolstack, 5, b"web1")
    toolstack.ask("SET_PERMS", b"/local/domain/5/name\0b5\0")
    guest = Peer(daemon, 5, privileged=False)
    number = guest.start()
    for path in ("/@index", "/@index/name", "/@index/name/web1", "/@index/name/nobody"):
        asked = path.encode() + b"\0"
        for operation in ("READ", "DIRECTORY", "GET_PERMS", "WRITE", "MKDIR", "RM"):
            assert guest.ask(operation, asked) == guest.ask(operation, asked, number) == "EACCES"
        assert guest.ask("SET_PERMS", asked + b"n5\0") == "EACCES"
        for operation in ("WRITE", "MKDIR", "RM"):
            assert toolstack.ask(operation, asked) == "EROFS"
        assert toolstack.ask("SET_PERMS", asked + b"n5\0") == "EROFS"
    assert toolstack.ask("GET_PERMS", b"/@index/name/web1\0") == b"n0\0"
    assert toolstack.ask("WRITE", b"/@indexed\0mine") == OK


def test_no_listing_and_no_event_shows_it(toolstack):
    for path in (b"/", b"/@index/name/web1"):
        toolstack.ask("WATCH", path + b"\0t\0")
    assert len(toolstack.events()) == 0
    found = toolstack.exchange("WRITE", b"/local/domain/5/name\0web1")
    assert [message.payload for message in found if message.kind == "EVENT"] == [b"/local/domain/5/name\0t\0"]
    assert strings(toolstack.ask("DIRECTORY", b"/\0")) == ["local", "tool"]


def test_a_look_up_decides_whether_a_transaction_can_be_committed(daemon, toolstack):
    name(toolstack, 5, b"web1")
    for path, meanwhile, end in (
        ("/@index/name/web2", (6, b"web2"), "EAGAIN"),
        ("/@index/name/web2", (7, b"web2"), OK),
        ("/@index/name/web2", (4, b"web2"), "EAGAIN"),
        ("/@index/name/web1", (8, b"web3"), OK),
        ("/@index/name/web1", (5, b"web3"), "EAGAIN"),
    ):
        asker = Peer(daemon)  # each a new one: who has lost has turns
        number = asker.start()
        before = read(asker, path, number)
        name(toolstack, *meanwhile)
        assert read(asker, path, number) == before
        assert asker.ask("TRANSACTION_END", b"T\0", number) == end


def test_who_has_lost_by_a_look_up_has_a_turn(daemon, toolstack):
    other = Peer(daemon)
    number = toolstack.start()
    read(toolstack, "/@index/name/web", number)
    name(other, 5, b"web")
    assert toolstack.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    number = toolstack.start()
    read(toolstack, "/@index/name/web", number)
    for waiting in (
        pack(NUMBERS["WRITE"], 1, 0, b"/local/domain/6/name\0web"),
        pack(NUMBERS["WRITE"], 1, 0, b"/local/domain/5/name\0app"),
        pack(NUMBERS["RM"], 1, 0, b"/local/domain/5\0"),
    ):
        one = Peer(daemon)
        one.feed(waiting)
        assert one.connection.held is not None
    name(other, 6, b"app")
    assert toolstack.ask("TRANSACTION_END", b"T\0", number) == OK


@pytest.mark.parametrize(
    ("first", "inside", "meanwhile"),
    [
        ([(6, b"web")], (5, b"web"), [(6, b"gone"), (7, b"web")]),  # the lowest is another
        ([(4, b"web"), (6, b"web")], (4, b"gone"), [(6, b"gone"), (7, b"web")]),  # the heir is
        ([(4, b"web")], (4, b"gone"), [(6, b"web")]),  # there is one now
        ([(5, b"web")], (5, b"web"), [(5, b"app")]),  # what seemed to stay had changed
    ],
)
def test_what_the_index_held_at_the_start_does_not_matter_at_the_end(first, inside, meanwhile):
    session = Session()
    peer, other = session.peers
    for named in first:
        name(other, *named)
    number = peer.start()
    name(peer, *inside, number)
    for named in meanwhile:
        name(other, *named)
    assert peer.ask("TRANSACTION_END", b"T\0", number) == OK
    session.check()


def test_a_name_that_others_change_meanwhile_is_no_conflict(daemon, toolstack):
    """The later END wins, and the index knows what it has won over."""
    other = Peer(daemon)
    name(toolstack, 5, b"first")
    number = toolstack.start()
    name(toolstack, 5, b"first", number)
    name(other, 5, b"second")
    assert toolstack.ask("TRANSACTION_END", b"T\0", number) == OK
    number = toolstack.start()
    name(toolstack, 6, b"twin", number)
    name(other, 7, b"twin")
    assert toolstack.ask("TRANSACTION_END", b"T\0", number) == OK
    assert looked_up(lambda operation, path: other.ask(operation, path.encode() + b"\0"), "name") == {
        "first": [5],
        "twin": [6, 7],
    }


def test_a_store_from_before_gets_its_index_in_one_commit_and_its_past_is_searched():
    session = Session(())
    for domid in (5, 6):
        name(session.peers[0], domid, b"web1")
    name(session.peers[0], 5, b"web2")
    assert read(session.peers[0], "/@index/name/web1") == "ENOENT"
    before = session.daemon.branch.head.number
    session.restart("boot", index.DEFAULT)
    assert session.daemon.branch.head.number == before + 1
    session.check()
    session.check_past()
    session.restart("boot", index.DEFAULT)
    assert session.daemon.branch.head.number == before + 1


def test_what_somebody_broke_is_told_and_mended_at_the_start():
    session = Session()
    name(session.peers[0], 5, b"web1")
    session.daemon.branch.set("/.xsadapter/index/name/web1", b"9")
    session.daemon.head.moved()
    assert b"/@index/name/web1: has 9, should have 5\n" in session.peers[0].ask("CONTROL", b"check\0")
    session.restart("boot", index.DEFAULT)
    session.check()


def test_many_domains_of_one_name(toolstack):
    """More than one answer holds: in parts, then."""
    for domid in range(1000, 2000):
        name(toolstack, domid, b"vm")
    assert toolstack.ask("DIRECTORY", b"/@index/name/vm\0") == "E2BIG"
    found = b""
    while not found.endswith(b"\0\0"):
        found += toolstack.ask("DIRECTORY_PART", b"/@index/name/vm\0%d\0" % len(found)).partition(b"\0")[2]
    assert [int(domid) for domid in strings(found[:-1])] == [*range(1000, 2000)]
