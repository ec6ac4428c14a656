"""What an unprivileged connection may do and see: domain 5, whose home it may read."""

import pytest

from tests.daemon.conversation import Peer

OK = b"OK\0"


@pytest.fixture(autouse=True)
def tree(peer, guest):
    for path, permissions in (
        (b"/secret", b"n0\0"),
        (b"/secret/open", b"r0\0"),
        (b"/mine", b"n5\0"),
        (b"/shared", b"n0\0b5\0"),
        (b"/read", b"n0\0r5\0"),
        (b"/write", b"n0\0w5\0"),
        (b"/any", b"n0\0r32757\0"),
        (b"/denied", b"b0\0n5\0b5\0"),
    ):
        peer.ask("WRITE", path + b"\0value")
        peer.ask("SET_PERMS", path + b"\0" + permissions)


CASES = [
    # reading needs r on the node itself, never on its ancestors
    ("READ", b"/mine\0", b"value"),
    ("READ", b"/shared\0", b"value"),
    ("READ", b"/read\0", b"value"),
    ("READ", b"/any\0", b"value"),
    ("READ", b"/secret/open\0", b"value"),
    ("READ", b"/write\0", "EACCES"),
    ("READ", b"/secret\0", "EACCES"),
    ("READ", b"/denied\0", "EACCES"),
    ("READ", b"/\0", "EACCES"),
    ("DIRECTORY", b"/\0", "EACCES"),
    ("DIRECTORY", b"/mine\0", b""),
    ("DIRECTORY_PART", b"/secret\x000\0", "EACCES"),
    ("GET_PERMS", b"/read\0", b"n0\0r5\0"),
    ("GET_PERMS", b"/secret\0", "EACCES"),
    # absent and forbidden look the same unless the nearest ancestor grants the right
    ("READ", b"/nothing\0", "EACCES"),
    ("READ", b"/secret/nothing\0", "EACCES"),
    ("READ", b"/read/nothing\0", "ENOENT"),
    ("READ", b"/read/no/thing\0", "ENOENT"),
    ("READ", b"nothing\0", "ENOENT"),
    ("READ", b"/write/nothing\0", "EACCES"),
    ("RM", b"/nothing\0", "EACCES"),
    ("RM", b"/write/nothing\0", OK),
    ("RM", b"/write/no/thing\0", "ENOENT"),
    ("RM", b"/read/nothing\0", "EACCES"),
    # writing
    ("WRITE", b"/write\0new", OK),
    ("WRITE", b"/read\0new", "EACCES"),
    ("WRITE", b"/secret/open\0new", "EACCES"),
    ("WRITE", b"/read/new\0", "EACCES"),
    ("WRITE", b"new\0", "EACCES"),
    ("MKDIR", b"/write\0", OK),
    ("MKDIR", b"/read\0", "EACCES"),
    ("MKDIR", b"/shared/new\0", OK),
    ("RM", b"/mine\0", OK),
    ("RM", b"/shared\0", OK),
    ("RM", b"/read\0", "EACCES"),
    ("RM", b"/\0", "EINVAL"),
    # permissions: the owner only, and the owner stays
    ("SET_PERMS", b"/mine\0r5\0w9\0", OK),
    ("SET_PERMS", b"/mine\0n0\0", "EPERM"),
    ("SET_PERMS", b"/shared\0n5\0", "EACCES"),
    ("SET_PERMS", b"/shared\0n0\0", "EACCES"),
    ("SET_PERMS", b"/secret\0n5\0", "EACCES"),
    ("SET_PERMS", b"/\0n5\0", "EACCES"),
    ("SET_PERMS", b"/mine\0x5\0", "EINVAL"),
    ("GET_PERMS", b"@introduceDomain\0", "EACCES"),
    ("GET_PERMS", b"@releaseDomain\0", b"n0\0r32757\0"),
    ("SET_PERMS", b"@releaseDomain\0n5\0", "EACCES"),
    ("GET_PERMS", b"@nothing\0", "EACCES"),
    # privileged operations come before any look at the payload
    ("CONTROL", b"", "EACCES"),
    ("CONTROL", b"help\0", "EACCES"),
    ("IS_DOMAIN_INTRODUCED", b"5\0", "EACCES"),
    ("IS_DOMAIN_INTRODUCED", b"", "EACCES"),
    ("INTRODUCE", b"5\x001\x001\0", "EACCES"),
    ("GET_DOMAIN_PATH", b"5\0", b"/local/domain/5\0"),
]


@pytest.mark.parametrize(("operation", "payload", "expected"), CASES)
@pytest.mark.parametrize("inside", [False, True], ids=["live", "transaction"])
def test_what_a_guest_may(guest, operation, payload, expected, inside):
    assert guest.ask(operation, payload, guest.start() if inside else 0) == expected


def test_a_guest_owns_what_it_makes(peer, guest):
    peer.ask("SET_PERMS", b"/shared\0r0\0b5\0")
    assert guest.ask("WRITE", b"/shared/a/b\0") == OK
    assert peer.ask("GET_PERMS", b"/shared/a\0") == b"r5\0b5\0"
    assert peer.ask("GET_PERMS", b"/shared/a/b\0") == b"r5\0b5\0"
    assert guest.ask("SET_PERMS", b"/shared/a/b\0n5\0") == OK
    peer.ask("WRITE", b"/shared/a/c\0")
    assert peer.ask("GET_PERMS", b"/shared/a/c\0") == b"r5\0b5\0"


def test_a_right_that_was_taken_away_meanwhile_is_gone_at_the_end(peer, guest):
    number = guest.start()
    assert guest.ask("WRITE", b"/write\0sneaky", number) == OK
    peer.ask("SET_PERMS", b"/write\0n0\0")
    assert guest.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    assert peer.ask("READ", b"/write\0") == b"value"


def test_a_guest_cannot_tell_absent_from_forbidden(peer, guest):
    first = guest.ask("READ", b"/secret/hidden\0")
    peer.ask("WRITE", b"/secret/hidden\0")
    peer.ask("SET_PERMS", b"/secret/hidden\0n0\0")
    assert guest.ask("READ", b"/secret/hidden\0") == first == "EACCES"


def test_events_go_only_to_who_may_read(peer, guest):
    assert guest.ask("WATCH", b"/\0t\0") == OK
    assert guest.events() == []
    for path, told in (
        (b"/secret", False),
        (b"/mine", True),
        (b"/secret/x", False),
        (b"/any", True),
        (b"/write", False),
    ):
        peer.ask("WRITE", path + b"\0")
        assert guest.events() == ([(path, b"t")] if told else []), path


def test_a_child_that_may_not_be_read_is_told_if_its_parent_may(peer, guest):
    peer.ask("WRITE", b"/read/closed\0")
    peer.ask("SET_PERMS", b"/read/closed\0n0\0")
    guest.ask("WATCH", b"/read/closed\0t\0")
    guest.take()
    peer.ask("WRITE", b"/read/closed\0v")
    assert guest.events() == [(b"/read/closed", b"t")]


def test_what_could_be_read_before_is_told_once_more(peer, guest):
    guest.ask("WATCH", b"/mine\0t\0")
    guest.take()
    peer.ask("SET_PERMS", b"/mine\0n0\0")
    assert guest.events() == [(b"/mine", b"t")]
    peer.ask("WRITE", b"/mine\0v")
    assert guest.events() == []
    peer.ask("RM", b"/mine\0")
    assert guest.events() == []


def test_removal_is_told_to_who_could_read(peer, guest):
    for path in (b"/read", b"/secret", b"/mine"):
        guest.ask("WATCH", path + b"\0" + path + b"\0")
    guest.take()
    for path in (b"/read", b"/secret", b"/mine"):
        peer.ask("RM", path + b"\0")
    assert guest.events() == [(b"/read", b"/read"), (b"/mine", b"/mine")]


def test_relative_paths_are_the_guests_own(peer, guest):
    peer.ask("SET_PERMS", b"/local/domain/5\0b5\0")
    assert guest.ask("WRITE", b"data/x\0v") == OK
    assert peer.ask("READ", b"/local/domain/5/data/x\0") == b"v"
    assert Peer(guest.daemon, 6, privileged=False).ask("READ", b"data/x\0") == "EACCES"
