"""The trail: what is recorded of what happens, by which switch, and both sides of a conflict."""

from __future__ import annotations

import pytest

from tests.daemon.conversation import Peer, ring_of
from xsadapter.engine import lives
from xsadapter.engine.trail import DEFAULT, SWITCHES


class Somewhere:
    """A place for records that is never used."""

    ready = True

    def open(self, path: str) -> None:
        raise PermissionError(path)


@pytest.fixture
def trail(daemon):
    """The daemon's, nothing switched on yet."""
    found = daemon.flow.trail
    found.sink = Somewhere()
    for name in SWITCHES:
        found.switch(name, False)
    found.turn(True)
    return found


def taken(trail, *names):
    """These fields of what has been recorded, and no field of what it has not."""
    records, trail.records = trail.records, []
    return [tuple(record.fields.get(name) for name in names) for record in records]


def test_nothing_is_recorded_that_nobody_wants(daemon, peer):
    assert not daemon.flow.trail.on
    assert daemon.flow.trail.switches == DEFAULT == {"obj", "wrl", "acc", "tdb"}
    daemon.flow.trail.turn(True)
    peer.ask("WRITE", b"/a\0v")
    assert daemon.flow.trail.records == []


def test_a_change_says_who_what_and_in_which_commit(daemon, peer, trail):
    trail.switch("tdb", True)
    ids = []
    for operation, payload in [
        ("WRITE", b"/a/b\0one"),
        ("WRITE", b"/a/b\0"),
        ("MKDIR", b"/c\0"),
        ("MKDIR", b"/c\0"),
        ("SET_PERMS", b"/c\0n0\0r5\0"),
        ("RM", b"/a\0"),
        ("RM", b"/a\0"),
        ("READ", b"/c\0"),
    ]:
        peer.ask(operation, payload)
        ids.append(daemon.branch.head.id)
    assert taken(trail, "log", "what", "path", "bytes", "permissions", "commit", "author") == [
        ("tdb", "WRITE", "/a/b", 3, None, ids[0], peer.connection.author),
        ("tdb", "WRITE", "/a/b", 0, None, ids[1], peer.connection.author),
        ("tdb", "MKDIR", "/c", 0, None, ids[2], peer.connection.author),
        ("tdb", "SET_PERMS", "/c", 0, ["n0", "r5"], ids[4], peer.connection.author),
        ("tdb", "RM", "/a", None, None, ids[5], peer.connection.author),
    ]


def test_a_transactions_changes_are_recorded_at_its_end_and_not_if_it_is_aborted(daemon, peer, trail):
    trail.switch("tdb", True)
    for verdict in (b"F\0", b"T\0"):
        number = peer.start()
        peer.ask("WRITE", b"/a\0v", number)
        peer.ask("RM", b"/tool/xenstored\0", number)
        assert trail.records == []
        peer.ask("TRANSACTION_END", verdict, number)
    commit = daemon.branch.head.id
    assert taken(trail, "what", "path", "commit") == [("WRITE", "/a", commit), ("RM", "/tool/xenstored", commit)]


def test_what_comes_and_goes(daemon, peer, trail):
    trail.switch("obj", True)
    other = Peer(daemon)
    other.ask("WATCH", b"/a\0t\0")
    other.start()
    daemon.disconnect(other.connection)
    assert taken(trail, "what", "object", "path", "conn") == [
        (what, kind, "/a" if kind == "watch" else None, other.connection.serial)
        for what, kind in [
            ("CREATE", "connection"),
            ("CREATE", "watch"),
            ("CREATE", "transaction"),
            ("DESTROY", "watch"),
            ("DESTROY", "transaction"),
            ("DESTROY", "connection"),
        ]
    ]


def test_a_domains_life(daemon, peer, trail):
    trail.switch("obj", True)
    trail.switch("tdb", True)
    peer.ask("WRITE", b"/local/domain/5\0")
    peer.ask("SET_PERMS", b"/local/domain/5\0n5\0")
    peer.ask("SET_PERMS", b"/tool\0n0\0r5\0")
    peer.ask("INTRODUCE", b"5\x001\x007\0")
    trail.records.clear()
    peer.ask("RELEASE", b"5\0")
    assert taken(trail, "log", "what", "object", "domain", "path", "author") == [
        ("tdb", "RM", None, 0, "/local/domain/5", lives.AUTHOR),
        ("tdb", "SET_PERMS", None, 0, "/tool", lives.AUTHOR),
        ("obj", "DESTROY", "connection", 5, None, "dom5 conn 2 ring"),
        ("obj", "DESTROY", "domain", 5, None, None),
    ]


def test_every_request_and_its_answer(peer, trail):
    trail.switch("io", True)
    peer.ask("READ", b"/no\0")
    peer.ask("WRITE", b"/a\0" + b"\n\xff" + b"v" * 300)
    peer.ask("INVALID", b"")
    assert taken(trail, "log", "what", "answer", "bytes") == [
        ("io", "READ", "ENOENT", 4),
        ("io", "WRITE", "OK", 305),
        ("io", "65535", "ENOSYS", 0),
    ]
    peer.ask("WRITE", b"/a\0" + b"\n\xff" + b"v" * 300)
    [(payload,)] = taken(trail, "payload")
    assert payload == "/a\\x00\\x0a\\xff" + "v" * 195


def test_a_quota_that_refuses(daemon, introduced, trail):
    trail.switch("acc", True)
    daemon.domains.record(5).limits["watches"] = 1
    for token in (b"1", b"2", b"3"):
        introduced.ask("WATCH", b"x\0" + token + b"\0")
    names = ("log", "what", "domain", "conn", "operation", "subject", "error", "quota", "limit")
    refused = ("acc", "REFUSED", 5, introduced.connection.serial, "WATCH", "x", "ENOSPC", "watches", 1)
    assert taken(trail, *names) == [refused] * 2


def test_what_a_guest_may_not_do(daemon, introduced, peer, trail):
    """Rights and the toolstack's operations; not what is merely wrong, and nothing of the toolstack's."""
    trail.switch("acc", True)
    introduced.ask("READ", b"/tool\0")
    introduced.ask("INTRODUCE", b"6\x001\x007\0")
    introduced.ask("SET_PERMS", b"/local/domain/5\0n6\0")
    introduced.ask("WRITE", b"/\n" + b"x" * 300 + b"\0secret")
    introduced.ask("WRITE", b"/tool/" + b"x" * 300 + b"\0secret")
    introduced.ask("READ", b"none\0")
    introduced.ask("INVALID", b"")
    peer.ask("RM", b"/\0")
    peer.ask("SET_PERMS", b"/none\0n0\0")
    assert all(record.guest for record in trail.records)
    assert taken(trail, "what", "operation", "subject", "error") == [
        ("REFUSED", "READ", "/tool", "EACCES"),
        ("REFUSED", "INTRODUCE", "6", "EACCES"),
        ("REFUSED", "SET_PERMS", "/local/domain/5", "EPERM"),
        ("REFUSED", "WRITE", "/tool/" + "x" * 194, "EACCES"),
    ]


def test_refusals_are_recorded_at_a_bounded_pace(daemon, introduced, trail):
    trail.switch("acc", True)
    for _ in range(50):
        introduced.ask("READ", b"/tool\0")
    assert taken(trail, "omitted") == [(None,)] * 20
    daemon.flow.now += 9.9
    introduced.ask("READ", b"/tool\0")
    assert taken(trail, "omitted") == []
    daemon.flow.now += 0.1
    for _ in range(2):
        introduced.ask("READ", b"/tool\0")
    assert taken(trail, "omitted") == [(31,), (None,)]


def test_who_breaks_his_ring_is_recorded(daemon, introduced, trail):
    trail.switch("acc", True)
    daemon.ignore(introduced.connection, "a frame too long")
    trail.sent_away(5, "user 1 is not 2")
    assert taken(trail, "log", "what", "domain", "why") == [
        ("acc", "BROKE", 5, "a frame too long; ignored"),
        ("acc", "SENT AWAY", 5, "user 1 is not 2"),
    ]


@pytest.mark.parametrize(
    ("reads", "change", "against"),
    [
        ("/d/a", ("WRITE", b"/d/a\0new"), [("WRITE", "/d/a")]),
        ("/d/a", ("RM", b"/d\0"), [("RM", "/d")]),
        ("/d/a", ("RM", b"/d/a\0"), [("RM", "/d/a")]),
        ("/d/n", ("MKDIR", b"/d/n\0"), [("MKDIR", "/d/n")]),
        ("/d", ("MKDIR", b"/d/new\0"), [("MKDIR", "/d/new")]),
        ("/d", ("RM", b"/d/a\0"), [("RM", "/d/a")]),
    ],
)
def test_a_conflict_names_both_sides(daemon, peer, other, trail, reads, change, against):
    daemon.flow.now = 1.0
    other.ask("WRITE", b"/d/a\0old")
    trail.switch("wrl", True)
    daemon.flow.now = 2.0
    number = peer.start()
    peer.ask("READ", reads.encode() + b"\0", number)
    peer.ask("DIRECTORY", reads.encode() + b"\0", number)
    other.ask(*change)
    other.ask("WRITE", b"/elsewhere\0x")
    if reads != "/d" and change[1] != b"/d\0":
        # It lies above, but is no reason.
        other.ask("WRITE", b"/d\0x")
    peer.ask("WRITE", b"/out\0v", number)
    assert peer.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    [(log, what, author, requests, paths, sides)] = taken(
        trail, "log", "what", "author", "requests", "paths", "against"
    )
    assert (log, what, author, requests) == ("wrl", "CONFLICT", peer.connection.author, 3)
    assert reads in paths
    assert [(side["what"], side["path"]) for side in sides] == against
    assert {side["author"] for side in sides} == {other.connection.author}


def test_nobody_is_named_who_had_nothing_to_do_with_it(daemon, peer, other, trail):
    trail.switch("wrl", True)
    daemon.flow.now = 1.0
    other.ask("WRITE", b"/d/a\0old")
    other.ask("RM", b"/d\0")
    other.ask("WRITE", b"/d/a\0again")
    daemon.flow.now = 2.0
    number = peer.start()
    peer.ask("READ", b"/d/a\0", number)
    trail.switch("wrl", False)
    other.ask("WRITE", b"/d/a\0new")
    trail.switch("wrl", True)
    for path in ("/d/a", "/d/a"):
        trail.changed(other.connection, [("WRITE", path)], daemon.head, 1.5)
    assert peer.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    # The write was not seen; what was seen of this path came before the transaction began.
    assert taken(trail, "what", "against") == [("CONFLICT", [])]


def test_only_so_many_paths_are_remembered(daemon, other, trail):
    trail.switch("wrl", True)
    other.ask("WRITE", b"/d/a\0v")
    for distance in range(4095):
        trail.changed(other.connection, [("WRITE", f"/far/{distance}")], daemon.head, 3.0)
    assert trail._last("/d/a") is not None
    trail.changed(other.connection, [("WRITE", "/far/4095")], daemon.head, 3.0)
    assert trail._last("/d/a") is None


def test_the_end_of_a_domain_is_a_side_of_a_conflict(daemon, peer, other, trail):
    trail.switch("wrl", True)
    other.ask("WRITE", b"/local/domain/5/a\0v")
    other.ask("SET_PERMS", b"/local/domain/5\0n5\0")
    other.ask("INTRODUCE", b"5\x001\x007\0")
    daemon.flow.now = 2.0
    number = peer.start()
    peer.ask("READ", b"/local/domain/5/a\0", number)
    other.ask("RELEASE", b"5\0")
    assert peer.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    [(_, [side])] = taken(trail, "what", "against")
    assert (side["author"], side["what"], side["path"]) == (lives.AUTHOR, "RM", "/local/domain/5")
    assert side["commit"] == daemon.branch.head.id


def test_what_guests_do_is_marked(daemon, peer, introduced, trail):
    for name in SWITCHES:
        trail.switch(name, True)
    peer.ask("WRITE", b"/a\0v")
    assert {record.guest for record in trail.records} == {False}
    trail.records.clear()
    daemon.domains.record(5).limits["watches"] = 1
    guest = ring_of(daemon, 5)
    guest.ask("WRITE", b"x\0v")
    guest.ask("WATCH", b"x\x001\0")
    guest.ask("WATCH", b"x\x002\0")
    assert {record.fields["log"] for record in trail.records} == {"tdb", "obj", "io", "acc"}
    assert {record.guest for record in trail.records} == {True}


def control(peer, *words):
    reply = peer.ask("CONTROL", b"".join(word.encode() + b"\0" for word in words))
    return reply if isinstance(reply, str) else reply.rstrip(b"\0").decode()


def test_control_log(peer, trail):
    assert control(peer, "log") == ("Log switches, the log is on:\nobj: off\nio : off\nwrl: off\nacc: off\ntdb: off\n")
    assert control(peer, "log", "+tdb") == "OK"
    assert "tdb: on" in control(peer, "log")
    assert control(peer, "log", "off") == "OK"
    assert "the log is off" in control(peer, "log")
    peer.ask("WRITE", b"/a\0v")
    assert trail.records == []
    assert control(peer, "log", "on") == "OK"
    peer.ask("WRITE", b"/a\0v")
    assert len(trail.records) == 1
    assert control(peer, "log", "-tdb") == "OK"
    assert not trail.changes
    for word in ("tdb", "+nosuch", "*tdb", "", "+"):
        assert control(peer, "log", word) == "EINVAL"


def test_control_logfile_says_when_it_cannot(daemon, peer, trail):
    assert control(peer, "logfile", "x") == "EINVAL"
    assert peer.ask("CONTROL", b"logfile\0\xff\0") == "EINVAL"
    assert control(peer, "logfile") == "EINVAL"
