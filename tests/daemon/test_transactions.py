"""Transactions as clients see them: isolation, what conflicts and what does not, replay, and the history."""

import pytest

from tests.daemon.conversation import Peer

OK = b"OK\0"


def run(peer, steps, transaction=0):
    return [peer.ask(operation, payload, transaction) for operation, payload in steps]


@pytest.fixture(autouse=True)
def tree(peer):
    run(peer, [("WRITE", b"/d/a\0old"), ("WRITE", b"/d/b\0old"), ("WRITE", b"/e\0old")])


def test_a_transaction_reads_its_snapshot_and_its_own_writes(peer, other):
    number = peer.start()
    other.ask("WRITE", b"/d/a\0new")
    other.ask("RM", b"/d/b\0")
    assert peer.ask("READ", b"/d/a\0", number) == b"old"
    assert peer.ask("READ", b"/d/b\0", number) == b"old"
    assert peer.ask("DIRECTORY", b"/d\0", number) == b"a\0b\0"
    assert peer.ask("WRITE", b"/d/c\0mine", number) == OK
    assert peer.ask("READ", b"/d/c\0", number) == b"mine"
    assert peer.ask("DIRECTORY", b"/d\0", number) == b"a\0b\0c\0"
    assert other.ask("READ", b"/d/c\0") == "ENOENT"
    assert peer.ask("READ", b"/d/c\0") == "ENOENT"
    assert peer.ask("TRANSACTION_END", b"F\0", number) == OK
    assert peer.ask("READ", b"/d/c\0") == "ENOENT"


def test_an_end_is_the_end_whatever_it_says(peer, other):
    for verdict, expected in ((b"T\0", OK), (b"F\0", OK)):
        number = peer.start()
        assert peer.ask("TRANSACTION_END", verdict, number) == expected
        assert peer.ask("READ", b"/d/a\0", number) == "ENOENT"
        assert peer.ask("TRANSACTION_END", verdict, number) == "ENOENT"
    number = peer.start()
    peer.ask("READ", b"/d/a\0", number)
    peer.ask("WRITE", b"/x\0", number)
    other.ask("WRITE", b"/d/a\0new")
    assert peer.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    assert peer.ask("TRANSACTION_END", b"T\0", number) == "ENOENT"
    assert peer.ask("READ", b"/x\0") == "ENOENT"


@pytest.mark.parametrize("payload", [b"", b"T", b"X\0", b"T\0\0", b"TT\0", b"t\0", b"\0", b"T\0F\0"])
def test_a_wrong_end_leaves_it_open(peer, payload):
    number = peer.start()
    assert peer.ask("TRANSACTION_END", payload, number) == "EINVAL"
    assert peer.ask("TRANSACTION_END", b"T\0", number) == OK


def test_transactions_do_not_nest(peer):
    number = peer.start()
    assert peer.ask("TRANSACTION_START", b"\0", number) == "EBUSY"
    assert peer.ask("TRANSACTION_START", b"\0", number + 1) == "ENOENT"
    assert peer.start() != number


def test_reset_inside_a_transaction_ends_it(peer):
    number, another = peer.start(), peer.start()
    peer.ask("WRITE", b"/x\0v", number)
    [reply] = peer.exchange("RESET_WATCHES", b"\0", number)
    assert (reply.payload, reply.transaction) == (OK, number)
    assert peer.ask("TRANSACTION_END", b"T\0", number) == "ENOENT"
    assert peer.ask("READ", b"/e\0", another) == "ENOENT"
    assert peer.ask("READ", b"/x\0") == "ENOENT"


def test_a_client_that_ends_leaves_nothing_open(daemon, peer, other):
    number = other.start()
    other.ask("WRITE", b"/x\0v", number)
    daemon.disconnect(other.connection)
    assert peer.ask("READ", b"/x\0") == "ENOENT"
    assert daemon.store.info().kept == daemon.store.info().commits  # nothing but tiers holds a commit


def test_ids_skip_those_that_are_open(peer):
    first = peer.start()
    peer.connection.next_transaction = 2**32 - 1
    assert [peer.start(), peer.start()] == [2**32 - 1, first + 1]


# (what the transaction does, what happens meanwhile, the verdict)
BLIND, OTHERS = [("WRITE", b"/d/a\0mine")], [("WRITE", b"/d/a\0theirs")]
CONFLICTS = {
    "nothing meanwhile": ([("READ", b"/d/a\0"), *BLIND], [], OK),
    "the value read has changed": ([("READ", b"/d/a\0"), *BLIND], OTHERS, "EAGAIN"),
    "a value only read has changed": ([("READ", b"/d/a\0")], OTHERS, "EAGAIN"),
    "the value read was changed and changed back": (
        [("READ", b"/d/a\0"), *BLIND],
        [("WRITE", b"/d/a\0x"), ("WRITE", b"/d/a\0old")],
        OK,
    ),
    "a blind write wins": (BLIND, OTHERS, OK),
    "a sibling was made": ([("WRITE", b"/d/c\0")], [("WRITE", b"/d/x\0")], OK),
    "a sibling of the root's children was made": ([("MKDIR", b"/f/g\0")], [("MKDIR", b"/h/i\0")], OK),
    "a listing has changed": ([("DIRECTORY", b"/d\0"), ("WRITE", b"/e\0")], [("WRITE", b"/d/x\0")], "EAGAIN"),
    "a listing in parts has changed": (
        [("DIRECTORY_PART", b"/d\x000\0"), ("WRITE", b"/e\0")],
        [("WRITE", b"/d/x\0")],
        "EAGAIN",
    ),
    "a value below a listing has changed": ([("DIRECTORY", b"/d\0"), ("WRITE", b"/e\0")], OTHERS, OK),
    "what was missing is there": ([("READ", b"/no\0"), ("WRITE", b"/e\0")], [("WRITE", b"/no\0")], "EAGAIN"),
    "what was read is gone": ([("READ", b"/d/a\0")], [("RM", b"/d/a\0")], "EAGAIN"),
    "what is written is gone": (BLIND, [("RM", b"/d\0")], OK),
    "the parent was removed": ([("WRITE", b"/d/c\0")], [("RM", b"/d\0")], OK),
    "the same node was made": ([("WRITE", b"/d/c\0mine")], [("WRITE", b"/d/c\0theirs")], OK),
    "permissions read have changed": ([("GET_PERMS", b"/d/a\0")], [("SET_PERMS", b"/d/a\0r3\0")], "EAGAIN"),
    "permissions and a value": ([("SET_PERMS", b"/d/a\0r3\0")], OTHERS, OK),
    "a value and permissions": (BLIND, [("SET_PERMS", b"/d/a\0r3\0")], OK),
    "removed by both": ([("RM", b"/d/a\0")], [("RM", b"/d/a\0")], OK),
    "removed with its parent": ([("RM", b"/d/a\0")], [("RM", b"/d\0")], "EAGAIN"),
    "removed, and grown below": ([("RM", b"/d\0")], [("WRITE", b"/d/x/y\0")], OK),
    "an own write meanwhile counts as another's": ([("READ", b"/e\0")], [("WRITE", b"/e\0new")], "EAGAIN"),
}


@pytest.mark.parametrize(("inside", "meanwhile", "verdict"), CONFLICTS.values(), ids=CONFLICTS)
def test_what_conflicts(daemon, peer, other, inside, meanwhile, verdict):
    number = peer.start()
    assert "EINVAL" not in run(peer, inside, number)
    assert set(run(other, meanwhile)) <= {OK}
    before = daemon.branch.tree
    assert peer.ask("TRANSACTION_END", b"T\0", number) == verdict
    if verdict == "EAGAIN":
        assert daemon.branch.tree == before


def outcome(daemon, peer, other, inside, meanwhile):
    number = peer.start()
    run(peer, inside, number)
    run(other, meanwhile)
    assert peer.ask("TRANSACTION_END", b"T\0", number) == OK


def test_value_and_permissions_merge(daemon, peer, other):
    outcome(daemon, peer, other, [("SET_PERMS", b"/d/a\0r3\0")], [("WRITE", b"/d/a\0theirs")])
    assert peer.ask("READ", b"/d/a\0") == b"theirs"
    assert peer.ask("GET_PERMS", b"/d/a\0") == b"r3\0"
    outcome(daemon, peer, other, [("WRITE", b"/d/b\0mine")], [("SET_PERMS", b"/d/b\0r3\0")])
    assert peer.ask("READ", b"/d/b\0") == b"mine"
    assert peer.ask("GET_PERMS", b"/d/b\0") == b"r3\0"


def test_removal_covers_what_is_below_at_the_end(daemon, peer, other):
    other.ask("WATCH", b"/d/new\0t\0")
    outcome(daemon, peer, other, [("RM", b"/d\0")], [("WRITE", b"/d/new\0")])
    assert peer.ask("READ", b"/d/new\0") == "ENOENT"
    assert peer.ask("DIRECTORY", b"/\0") == b"e\0tool\0"
    assert other.events() == [(b"/d/new", b"t")]


def test_a_replay_inherits_from_the_parent_as_it_is_now(daemon, peer, other):
    outcome(daemon, peer, other, [("WRITE", b"/d/c\0")], [("SET_PERMS", b"/d\0r7\0")])
    assert peer.ask("GET_PERMS", b"/d/c\0") == b"r7\0"


def test_a_replay_makes_parents_again(daemon, peer, other):
    outcome(daemon, peer, other, [("WRITE", b"/d/c\0v")], [("RM", b"/d\0")])
    assert peer.ask("DIRECTORY", b"/d\0") == b"c\0"
    assert peer.ask("READ", b"/d/c\0") == b"v"


def test_one_commit_with_its_author_and_what_it_did(daemon, peer):
    made = daemon.store.info().commits
    number = peer.start()
    run(peer, [("WRITE", b"/x\0v"), ("RM", b"/d/a\0"), ("READ", b"/e\0"), ("SET_PERMS", b"/e\0r0\0")], number)
    assert daemon.store.info().commits == made
    peer.ask("TRANSACTION_END", b"T\0", number)
    assert daemon.store.info().commits == made + 1
    head = daemon.branch.head
    assert head.author == f"dom0 conn {peer.connection.serial} pid 1 (test)"
    assert head.message == "TRANSACTION 3: WRITE /x, RM /d/a, SET_PERMS /e"


def test_a_long_transaction_is_told_as_far_as_there_is_room(daemon, peer):
    number = peer.start()
    run(peer, [("WRITE", b"/some/where/deep/%d\0" % index) for index in range(20)], number)
    peer.ask("TRANSACTION_END", b"T\0", number)
    message = daemon.branch.head.message
    assert message.startswith("TRANSACTION 20: WRITE /some/where/deep/0, WRITE /some/where/deep/1, ")
    assert message.endswith(", ...")


def test_what_changes_nothing_makes_no_commit(daemon, peer):
    made = daemon.store.info().commits
    for verdict in (b"T\0", b"F\0"):
        number = peer.start()
        run(peer, [("READ", b"/e\0"), ("DIRECTORY", b"/\0"), ("MKDIR", b"/d\0"), ("RM", b"/nothing\0")], number)
        assert peer.ask("TRANSACTION_END", verdict, number) == OK
    peer.ask("MKDIR", b"/d\0")
    peer.ask("RM", b"/nothing\0")
    peer.ask("WATCH", b"/d\0t\0")
    assert daemon.store.info().commits == made


HISTORY = [
    ("WRITE", b"/h/a/b\0v", "WRITE /h/a/b"),
    ("WRITE", b"/h/a/b\0v", "WRITE /h/a/b"),
    ("MKDIR", b"/h/c\0", "MKDIR /h/c"),
    ("SET_PERMS", b"/h\0n0\0", "SET_PERMS /h"),
    ("RM", b"/h\0", "RM /h"),
]


def test_every_change_is_one_commit_that_says_what_it_was(daemon, peer):
    for operation, payload, message in HISTORY:
        made = daemon.store.info().commits
        assert peer.ask(operation, payload) == OK
        assert daemon.store.info().commits == made + 1
        assert daemon.branch.head.message == message
        assert daemon.branch.head.author == peer.connection.author


def test_the_author_of_a_guest(daemon):
    guest = Peer(daemon, 7, privileged=True)
    guest.ask("WRITE", b"/x\0")
    assert daemon.branch.head.author.startswith("dom7 conn ")
