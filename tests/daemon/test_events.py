"""Watches as clients see them: which events, with which paths, in which order against replies."""

import pytest

from tests.daemon.conversation import Peer, pair
from xsadapter.wire import pack

OK = b"OK\0"


def watching(peer, *places):
    """Watch each with its own path as token, and swallow the initial events."""
    for place in places:
        path, _, depth = place.partition(b" ")
        peer.ask("WATCH", path + b"\0" + place + b"\0" + (depth + b"\0" if depth else b""))
    peer.take()


def shape(messages):
    """Kinds in order, events with their paths."""
    return [pair(message)[0] if message.kind == "EVENT" else message.kind for message in messages]


def test_the_reply_comes_before_the_initial_event(peer):
    found = peer.exchange("WATCH", b"/not/there\0tok en\xff\0")
    assert [message.kind for message in found] == ["WATCH", "EVENT"]
    assert pair(found[1]) == (b"/not/there", b"tok en\xff")


def test_ones_own_events_come_before_the_reply(peer):
    watching(peer, b"/")
    assert shape(peer.exchange("WRITE", b"/a/b\0v")) == [b"/a/b", "WRITE"]
    assert shape(peer.exchange("MKDIR", b"/a/c\0")) == [b"/a/c", "MKDIR"]
    assert shape(peer.exchange("SET_PERMS", b"/a\0r0\0")) == [b"/a", "SET_PERMS"]
    assert shape(peer.exchange("RM", b"/a\0")) == [b"/a", "RM"]
    number = peer.start()
    assert shape(peer.exchange("WRITE", b"/x\0v", number)) == ["WRITE"]
    assert shape(peer.exchange("TRANSACTION_END", b"T\0", number)) == [b"/x", "TRANSACTION_END"]


CHANGES = {
    "write": ("WRITE", b"/d/n\0v", [(b"/d/n", b"/"), (b"/d/n", b"/d"), (b"/d/n", b"/d/n")]),
    "write of the same value": ("WRITE", b"/d/n\0", [(b"/d/n", b"/"), (b"/d/n", b"/d"), (b"/d/n", b"/d/n")]),
    "creation names only the node": ("WRITE", b"/d/x/y\0v", [(b"/d/x/y", b"/"), (b"/d/x/y", b"/d")]),
    "mkdir": ("MKDIR", b"/e\0", [(b"/e", b"/")]),
    "mkdir of what exists": ("MKDIR", b"/d/n\0", []),
    "permissions": ("SET_PERMS", b"/d\0r0\0", [(b"/d", b"/"), (b"/d", b"/d")]),
    "rm": ("RM", b"/d/n\0", [(b"/d/n", b"/"), (b"/d/n", b"/d"), (b"/d/n", b"/d/n")]),
    "rm of nothing": ("RM", b"/nothing\0", []),
    "a failed request": ("RM", b"/nothing/at/all\0", []),
    "a read": ("READ", b"/d/n\0", []),
    "special names are not below the root": ("SET_PERMS", b"@releaseDomain\0n0\0r1\0", []),
}


@pytest.mark.parametrize(("operation", "payload", "expected"), CHANGES.values(), ids=CHANGES)
def test_who_is_told(peer, other, operation, payload, expected):
    peer.ask("MKDIR", b"/d/n\0")
    watching(other, b"/", b"/d", b"/d/n", b"/dn", b"/d/n/below", b"@releaseDomain")
    peer.ask(operation, payload)
    assert other.events() == expected


def test_removal_tells_the_deepest_first_and_only_what_existed(peer, other):
    for path in (b"/t/a/x", b"/t/a/y", b"/t/b"):
        peer.ask("WRITE", path + b"\0")
    watching(other, b"/", b"/t", b"/t/a", b"/t/a/x", b"/t/a/gone", b"/t/b", b"/t/a/x/no", b"/other")
    peer.ask("RM", b"/t\0")
    assert other.events() == [
        (b"/t/a/x", b"/t/a/x"),
        (b"/t/a", b"/t/a"),
        (b"/t/b", b"/t/b"),
        (b"/t", b"/"),
        (b"/t", b"/t"),
    ]


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (b"/d 0", []),
        (b"/d 1", [b"/d/a"]),
        (b"/d 2", [b"/d/a", b"/d/a/b"]),
        (b"/d 3", [b"/d/a", b"/d/a/b", b"/d/a/b/c"]),
        (b"/d", [b"/d/a", b"/d/a/b", b"/d/a/b/c"]),
        (b"/ 0", []),
        (b"/ 1", []),
        (b"/ 2", [b"/d/a"]),
        (b"/d/a 0", [b"/d/a"]),
    ],
)
def test_depth(peer, other, place, told):
    peer.ask("MKDIR", b"/d/a/b/c\0")
    watching(other, place)
    for path in (b"/d/a", b"/d/a/b", b"/d/a/b/c"):
        peer.ask("WRITE", path + b"\0v")
    assert other.events() == [(path, place) for path in told]


def test_a_watch_below_tells_of_its_own_removal_whatever_its_depth(peer, other):
    peer.ask("MKDIR", b"/d/a/b\0")
    watching(other, b"/d/a/b 0", b"/ 0", b"/d 0")
    peer.ask("RM", b"/d\0")
    assert other.events() == [(b"/d/a/b", b"/d/a/b 0"), (b"/d", b"/d 0")]


def test_a_relative_watch_tells_relative_paths(peer, other):
    found = other.exchange("WATCH", b"dev\0t\0")
    assert pair(found[1]) == (b"dev", b"t")
    peer.ask("WRITE", b"/local/domain/0/dev/a\0v")
    assert other.events() == [(b"dev/a", b"t")]
    peer.ask("RM", b"/local\0")
    assert other.events() == [(b"dev", b"t")]
    peer.ask("RM", b"/local\0")
    assert other.events() == []


def test_relative_and_absolute_are_the_same_watch(peer):
    assert peer.ask("WATCH", b"dev\0t\0") == OK
    assert peer.ask("WATCH", b"/local/domain/0/dev\0t\0") == "EEXIST"
    assert peer.ask("UNWATCH", b"/local/domain/0/dev\0t\0") == OK


def test_an_event_equal_to_a_waiting_one_is_dropped(peer, other):
    watching(other, b"/")
    for _ in range(3):
        peer.ask("WRITE", b"/a\0v")
    peer.ask("WRITE", b"/b\0v")
    peer.ask("WRITE", b"/a\0v")
    assert other.events() == [(b"/a", b"/"), (b"/b", b"/")]
    peer.ask("WRITE", b"/a\0v")
    assert other.events() == [(b"/a", b"/")]


def test_the_initial_event_is_sent_though_an_equal_one_waits(peer, other):
    watching(other, b"/a")
    peer.ask("WRITE", b"/a\0v")
    other.request = 100
    other.connection.reader.feed(b"".join([_frame(5, 101, b"/a\0/a\0"), _frame(4, 102, b"/a\0/a\0")]))
    while other.daemon.step(other.connection):
        pass
    assert shape(other.take()) == [b"/a", "UNWATCH", "WATCH", b"/a"]


def _frame(kind, request, payload):
    return pack(kind, request, 0, payload)


def test_events_already_queued_survive_unwatch_and_reset(peer, other):
    watching(other, b"/a", b"/b")
    peer.ask("WRITE", b"/a\0")
    peer.ask("WRITE", b"/b\0")
    other.feed(_frame(5, 1, b"/a\0/a\0"))
    other.feed(_frame(21, 2, b"\0"))
    peer.ask("WRITE", b"/a\0")
    assert shape(other.take()) == [b"/a", b"/b", "UNWATCH", "RESET_WATCHES"]
    peer.ask("WRITE", b"/b\0")
    assert other.take() == []


def test_an_event_that_no_frame_can_hold_is_dropped(peer, other):
    token = b"t" * 4090
    assert other.ask("WATCH", b"/a\0" + token + b"\0") == OK
    peer.ask("WRITE", b"/a/longer-than-that\0v")
    assert other.events() == []
    peer.ask("WRITE", b"/a\0v")
    assert other.events() == [(b"/a", token)]


def test_watch_ignores_the_transaction_but_echoes_it(peer):
    [reply, event] = peer.exchange("WATCH", b"/a\0t\0", 1234)
    assert (reply.kind, reply.transaction, event.transaction) == ("WATCH", 1234, 0)
    number = peer.start()
    peer.ask("WATCH", b"/a\0u\0", number)
    peer.ask("TRANSACTION_END", b"F\0", number)
    assert peer.ask("UNWATCH", b"/a\0u\0", 99) == OK


def test_a_client_that_ends_is_told_nothing_more(daemon, peer, other):
    watching(other, b"/")
    daemon.disconnect(other.connection)
    peer.ask("WRITE", b"/a\0v")
    assert other.take() == []
    assert daemon.watches.count == 0
    assert other.connection.watches == {}


# The net effect of transactions

WATCHED = (b"/", b"/d", b"/d/a", b"/d/a/x", b"/d/b")
EFFECTS = {
    "each changed path once, in the order of the first change": (
        [("WRITE", b"/d/b\x001"), ("WRITE", b"/d/a\x001"), ("WRITE", b"/d/b\x002")],
        [(b"/d/b", b"/"), (b"/d/b", b"/d"), (b"/d/b", b"/d/b"), (b"/d/a", b"/"), (b"/d/a", b"/d"), (b"/d/a", b"/d/a")],
    ),
    "made and removed again": ([("WRITE", b"/new\0"), ("RM", b"/new\0")], []),
    "removed": ([("RM", b"/d/a\0")], [(b"/d/a/x", b"/d/a/x"), (b"/d/a", b"/"), (b"/d/a", b"/d"), (b"/d/a", b"/d/a")]),
    "removed and made again": (
        [("RM", b"/d/a\0"), ("MKDIR", b"/d/a\0")],
        [(b"/d/a/x", b"/d/a/x"), (b"/d/a", b"/"), (b"/d/a", b"/d"), (b"/d/a", b"/d/a")],
    ),
    "written, then removed with its parent": (
        [("WRITE", b"/d/a/x\0new"), ("RM", b"/d/a\0")],
        [
            *((b"/d/a/x", place) for place in (b"/", b"/d", b"/d/a", b"/d/a/x")),
            *((b"/d/a", place) for place in (b"/", b"/d", b"/d/a")),
        ],
    ),
    "made, then removed with its parent": (
        [("WRITE", b"/d/a/new\0"), ("RM", b"/d/a\0")],
        [(b"/d/a/x", b"/d/a/x"), (b"/d/a", b"/"), (b"/d/a", b"/d"), (b"/d/a", b"/d/a")],
    ),
    "removed, then its parent": (
        [("RM", b"/d/a\0"), ("RM", b"/d\0")],
        [
            (b"/d/a/x", b"/d/a/x"),
            (b"/d/a", b"/"),
            (b"/d/a", b"/d"),
            (b"/d/a", b"/d/a"),
            (b"/d/b", b"/d/b"),
            (b"/d", b"/"),
            (b"/d", b"/d"),
        ],
    ),
    "parents that were made are not told": ([("WRITE", b"/n/e/w\0")], [(b"/n/e/w", b"/")]),
    "nothing changed": ([("READ", b"/d/a\0"), ("MKDIR", b"/d/a\0"), ("RM", b"/no\0")], []),
}


@pytest.mark.parametrize(("steps", "expected"), EFFECTS.values(), ids=EFFECTS)
def test_a_commit_tells_its_net_effect(peer, other, steps, expected):
    for path in (b"/d/a/x", b"/d/b"):
        peer.ask("WRITE", path + b"\0")
    watching(other, *WATCHED)
    number = peer.start()
    for operation, payload in steps:
        assert peer.ask(operation, payload, number) != "ENOENT"
        assert other.events() == []
    assert peer.ask("TRANSACTION_END", b"T\0", number) == OK
    assert other.events() == expected


def test_an_aborted_transaction_tells_nothing(peer, other):
    watching(other, b"/")
    number = peer.start()
    peer.ask("WRITE", b"/a\0", number)
    peer.ask("TRANSACTION_END", b"F\0", number)
    number = peer.start()
    peer.ask("WRITE", b"/a\0", number)
    peer.ask("RESET_WATCHES", b"\0", number)
    assert other.events() == []


def test_order_among_the_watches_of_a_client_is_that_of_registration(daemon):
    peer, other = Peer(daemon), Peer(daemon)
    watching(other, b"/a/b", b"/", b"/a")
    peer.ask("WRITE", b"/a/b\0v")
    assert other.events() == [(b"/a/b", b"/a/b"), (b"/a/b", b"/"), (b"/a/b", b"/a")]
