"""Every operation and every error, as byte scripts.

A script is a list of steps on one privileged client of a fresh daemon: operation, payload, and the reply's payload or
the name of the error. What guests may do is in test_guests.py, watches in test_events.py, transactions in
test_transactions.py.
"""

import pytest

from tests.daemon.conversation import NUMBERS, Peer, fresh_daemon
from xsadapter.operations import OPERATIONS
from xsadapter.wire import pack

OK = b"OK\0"
LONGEST = b"/" + b"p" * 3071

SCRIPTS = {
    "the first tree": [
        ("DIRECTORY", b"/\0", b"tool\0"),
        ("DIRECTORY", b"/tool\0", b"xenstored\0"),
        ("DIRECTORY", b"/tool/xenstored\0", b""),
        ("READ", b"/\0", b""),
        ("READ", b"/tool/xenstored\0", b""),
        ("GET_PERMS", b"/\0", b"n0\0"),
        ("GET_PERMS", b"/tool/xenstored\0", b"n0\0"),
    ],
    "a value is any bytes": [
        ("WRITE", b"/a\0\0\xff one\0two", OK),
        ("READ", b"/a\0", b"\0\xff one\0two"),
        ("WRITE", b"/a\0", OK),
        ("READ", b"/a\0", b""),
        ("WRITE", b"/a\0" + b"v" * 4093, OK),
        ("READ", b"/a\0", b"v" * 4093),
    ],
    "a write makes parents without a value": [
        ("WRITE", b"/a/b/c\0v", OK),
        ("READ", b"/a\0", b""),
        ("READ", b"/a/b\0", b""),
        ("READ", b"/a/b/c\0", b"v"),
        ("DIRECTORY", b"/\0", b"a\0tool\0"),
    ],
    "a write keeps children and permissions": [
        ("WRITE", b"/a/b\0v", OK),
        ("SET_PERMS", b"/a\0r3\0w4\0", OK),
        ("WRITE", b"/a\0new", OK),
        ("READ", b"/a/b\0", b"v"),
        ("GET_PERMS", b"/a\0", b"r3\0w4\0"),
    ],
    "the root has a value too": [
        ("WRITE", b"/\0root", OK),
        ("READ", b"/\0", b"root"),
        ("DIRECTORY", b"/\0", b"tool\0"),
        ("MKDIR", b"/\0", OK),
        ("READ", b"/\0", b"root"),
        ("SET_PERMS", b"/\0r0\0", OK),
        ("GET_PERMS", b"/\0", b"r0\0"),
        ("GET_PERMS", b"/tool\0", b"n0\0"),
    ],
    "made nodes inherit": [
        ("MKDIR", b"/a\0", OK),
        ("SET_PERMS", b"/a\0b5\0r6\0w7\0", OK),
        ("WRITE", b"/a/b/c\0v", OK),
        ("GET_PERMS", b"/a/b\0", b"b5\0r6\0w7\0"),
        ("GET_PERMS", b"/a/b/c\0", b"b5\0r6\0w7\0"),
        ("MKDIR", b"/a/d/e\0", OK),
        ("GET_PERMS", b"/a/d/e\0", b"b5\0r6\0w7\0"),
    ],
    "mkdir of what exists changes nothing": [
        ("WRITE", b"/a/b\0v", OK),
        ("MKDIR", b"/a\0", OK),
        ("MKDIR", b"/a/b\0", OK),
        ("READ", b"/a/b\0", b"v"),
    ],
    "rm": [
        ("WRITE", b"/a/b/c\0v", OK),
        ("RM", b"/a/b\0", OK),
        ("READ", b"/a/b/c\0", "ENOENT"),
        ("READ", b"/a/b\0", "ENOENT"),
        ("DIRECTORY", b"/a\0", b""),
        ("RM", b"/a/b\0", OK),
        ("RM", b"/a/b/c\0", "ENOENT"),
        ("RM", b"/nothing\0", OK),
        ("RM", b"/nothing/at/all\0", "ENOENT"),
        ("RM", b"/\0", "EINVAL"),
        ("DIRECTORY", b"/\0", b"a\0tool\0"),
    ],
    "directories are sorted by bytes": [
        *((("WRITE", b"/d/" + name + b"\0", OK)) for name in (b"b", b"a", b"B", b"10", b"9", b"_", b"-", b"@")),
        ("DIRECTORY", b"/d\0", b"-\x0010\x009\0@\0B\0_\0a\0b\0"),
    ],
    "missing nodes": [
        ("READ", b"/no\0", "ENOENT"),
        ("DIRECTORY", b"/no\0", "ENOENT"),
        ("DIRECTORY_PART", b"/no\x000\0", "ENOENT"),
        ("GET_PERMS", b"/no\0", "ENOENT"),
        ("SET_PERMS", b"/no\0n0\0", "ENOENT"),
        ("READ", b"/no/such/thing\0", "ENOENT"),
        ("UNWATCH", b"/no\0t\0", "ENOENT"),
        ("TRANSACTION_END", b"T\0", "ENOENT"),
        ("TRANSACTION_END", b"F\0", "ENOENT"),
    ],
    "relative paths are below the home of domain 0": [
        ("WRITE", b"a/b\0v", OK),
        ("READ", b"/local/domain/0/a/b\0", b"v"),
        ("READ", b"a/b\0", b"v"),
        ("DIRECTORY", b"a\0", b"b\0"),
        ("RM", b"a\0", OK),
        ("READ", b"/local/domain/0/a\0", "ENOENT"),
    ],
    "permissions": [
        ("MKDIR", b"/a\0", OK),
        ("SET_PERMS", b"/a\0n5\0r6\0r6\0b7\0w65535\0", OK),
        ("GET_PERMS", b"/a\0", b"n5\0r6\0r6\0b7\0w65535\0"),
        ("SET_PERMS", b"/a\0r007\0", OK),
        ("GET_PERMS", b"/a\0", b"r7\0"),
        ("SET_PERMS", b"/a\0n1\0reserved bytes without an end", OK),
        ("GET_PERMS", b"/a\0", b"n1\0"),
        ("SET_PERMS", b"/a\0", "EINVAL"),
        ("SET_PERMS", b"/a", "EINVAL"),
        ("SET_PERMS", b"", "EINVAL"),
        ("SET_PERMS", b"/a\0\0", "EINVAL"),
        ("SET_PERMS", b"/a\0r-1\0", "EINVAL"),
        ("SET_PERMS", b"/a\0r65536\0", "EINVAL"),
        ("SET_PERMS", b"/a\0x1\0", "EINVAL"),
        ("SET_PERMS", b"/a\0n0\0zz\0", "EINVAL"),
        ("SET_PERMS", b"/no\0zz\0", "EINVAL"),
        ("GET_PERMS", b"/a\0", b"n1\0"),
    ],
    "special names have permissions and nothing else": [
        ("GET_PERMS", b"@releaseDomain\0", b"n0\0r32757\0"),
        ("GET_PERMS", b"@introduceDomain\0", b"n0\0"),
        ("SET_PERMS", b"@releaseDomain\0n0\0r3\0", OK),
        ("GET_PERMS", b"@releaseDomain\0", b"n0\0r3\0"),
        ("GET_PERMS", b"@introduceDomain\0", b"n0\0"),
        ("GET_PERMS", b"@other\0", "ENOENT"),
        ("SET_PERMS", b"@other\0n0\0", "ENOENT"),
        ("GET_PERMS", b"@releaseDomain/5\0", "ENOENT"),
        ("GET_PERMS", b"@\0", "ENOENT"),
        ("READ", b"@releaseDomain\0", "EINVAL"),
        ("WRITE", b"@releaseDomain\0v", "EINVAL"),
        ("MKDIR", b"@releaseDomain\0", "EINVAL"),
        ("RM", b"@releaseDomain\0", "EINVAL"),
        ("DIRECTORY", b"@releaseDomain\0", "EINVAL"),
        ("DIRECTORY_PART", b"@releaseDomain\x000\0", "EINVAL"),
        ("DIRECTORY", b"/\0", b"tool\0"),
    ],
    "what the daemon keeps for itself cannot be named": [
        ("DIRECTORY", b"/\0", b"tool\0"),
        ("READ", b"/.xsadapter/boot\0", "EINVAL"),
        ("RM", b"/.xsadapter\0", "EINVAL"),
        ("WATCH", b"/.xsadapter\0t\0", "EINVAL"),
    ],
    "domains": [
        ("GET_DOMAIN_PATH", b"0\0", b"/local/domain/0\0"),
        ("GET_DOMAIN_PATH", b"65535\0", b"/local/domain/65535\0"),
        ("GET_DOMAIN_PATH", b"007\0", b"/local/domain/7\0"),
        ("GET_DOMAIN_PATH", b"65536\0", "EINVAL"),
        ("GET_DOMAIN_PATH", b"-1\0", "EINVAL"),
        ("GET_DOMAIN_PATH", b"abc\0", "EINVAL"),
        ("GET_DOMAIN_PATH", b"1_0\0", "EINVAL"),
        ("GET_DOMAIN_PATH", b" 1\0", "EINVAL"),
        ("GET_DOMAIN_PATH", b"\0", "EINVAL"),
        ("GET_DOMAIN_PATH", b"1", "EINVAL"),
        ("IS_DOMAIN_INTRODUCED", b"0\0", b"T\0"),
        ("IS_DOMAIN_INTRODUCED", b"32752\0", b"T\0"),
        ("IS_DOMAIN_INTRODUCED", b"1\0", b"F\0"),
        ("IS_DOMAIN_INTRODUCED", b"x\0", "EINVAL"),
        ("IS_DOMAIN_INTRODUCED", b"99999\0", "EINVAL"),
    ],
    "watch and unwatch": [
        ("WATCH", b"/a\0t\0", OK),
        ("WATCH", b"/a\0t\0", "EEXIST"),
        ("WATCH", b"/a\0t\x003\0", "EEXIST"),
        ("WATCH", b"/a\0u\0", OK),
        ("WATCH", b"/a\0\0", OK),
        ("WATCH", b"@anything\0t\0", OK),
        ("WATCH", b"/deep\0t\x000\0trailing", OK),
        ("WATCH", b"/a\0v\0-1\0", "EINVAL"),
        ("WATCH", b"/a\0v\0x\0", "EINVAL"),
        ("WATCH", b"/a\0v\0\0", "EINVAL"),
        ("WATCH", b"/a\0v\x001\x002\0", "EINVAL"),
        ("WATCH", b"/a\0", "EINVAL"),
        ("WATCH", b"/a\0v", "EINVAL"),
        ("WATCH", b"", "EINVAL"),
        ("WATCH", b"/a/\0v\0", "EINVAL"),
        ("UNWATCH", b"/a\0v\0", "ENOENT"),
        ("UNWATCH", b"/a\0t\x003\0", "EINVAL"),
        ("UNWATCH", b"/a\0", "EINVAL"),
        ("UNWATCH", b"//\0t\0", "EINVAL"),
        ("UNWATCH", b"/a\0t\0", OK),
        ("UNWATCH", b"/a\0t\0", "ENOENT"),
        ("WATCH", b"/a\0t\0", OK),
        ("RESET_WATCHES", b"\0", OK),
        ("UNWATCH", b"/a\0t\0", "ENOENT"),
        ("UNWATCH", b"/a\0u\0", "ENOENT"),
        ("RESET_WATCHES", b"", OK),
        ("RESET_WATCHES", b"anything at all", OK),
    ],
    "transactions are numbered from 1": [
        ("TRANSACTION_START", b"\0", b"1\0"),
        ("TRANSACTION_START", b"", b"2\0"),
        ("TRANSACTION_START", b"ignored", b"3\0"),
    ],
    "control": [
        ("CONTROL", b"", "EINVAL"),
        ("CONTROL", b"help", "EINVAL"),
        ("CONTROL", b"\0", "EINVAL"),
        ("CONTROL", b"nosuch\0", "EINVAL"),
        ("CONTROL", b"help\0me\0", "EINVAL"),
        ("CONTROL", b"print\0", "EINVAL"),
        ("CONTROL", b"print\0a\0b\0", "EINVAL"),
        ("CONTROL", b"print\0hello\0", OK),
        ("CONTROL", b"history\0", "EINVAL"),
        ("CONTROL", b"history\0nosuch\0", "EINVAL"),
    ],
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_script(peer, script):
    for number, (operation, payload, expected) in enumerate(script):
        assert peer.ask(operation, payload) == expected, f"step {number}: {operation} {payload!r}"


@pytest.mark.parametrize(
    "operation", ["READ", "DIRECTORY", "GET_PERMS", "MKDIR", "RM", "TRANSACTION_END", "GET_DOMAIN_PATH"]
)
@pytest.mark.parametrize(
    "payload", [b"", b"/a", b"/a\0\0", b"/a\0b\0", b"/a\0b", b"\0", b"/a/\0", b"//\0", b"/local/domain/\0"]
)
def test_one_string_and_its_nul_and_nothing_else(peer, operation, payload):
    peer.ask("WRITE", b"/a\0v")
    assert peer.ask(operation, payload) == "EINVAL"


@pytest.mark.parametrize("payload", [b"", b"/a", b"\0v", b"/a/\0v", b"/a b\0v", LONGEST + b"p\0v"])
def test_a_write_needs_a_path(peer, payload):
    assert peer.ask("WRITE", payload) == "EINVAL"


def test_the_longest_path_works_and_reports(peer, other):
    other.ask("WATCH", b"/\0t\0")
    other.take()
    assert peer.ask("WRITE", LONGEST + b"\0v") == OK
    assert peer.ask("READ", LONGEST + b"\0") == b"v"
    assert other.events() == [(LONGEST, b"t")]
    deep = b"/d" * 1536
    assert peer.ask("WRITE", deep + b"\0v") == OK
    assert peer.ask("READ", deep + b"\0") == b"v"
    assert peer.ask("RM", b"/d\0") == OK
    assert peer.ask("READ", deep + b"\0") == "ENOENT"


HANDLED = {operation.number for operation in OPERATIONS}


@pytest.mark.parametrize("number", sorted({*range(40), 0xFFFF, 2**31, 2**32 - 1} - HANDLED))
def test_every_other_number_is_enosys_and_the_connection_lives(daemon, number):
    peer = Peer(daemon)
    for transaction in (0, 9):
        peer.feed(pack(number, 77, transaction, b"/a\0"))
        [(kind, request, echoed, payload)] = peer.take()
        assert (kind, request, echoed, payload) == ("ERROR", 77, transaction, b"ENOSYS\0")
    assert peer.ask("READ", b"/\0") == b""


def test_the_table_has_the_protocols_numbers():
    assert {operation.name: operation.number for operation in OPERATIONS}.items() <= NUMBERS.items()
    assert len(HANDLED) == len(OPERATIONS) == 24


@pytest.mark.parametrize("operation", [operation.name for operation in OPERATIONS])
def test_an_unknown_transaction_is_enoent_before_anything_else(peer, operation):
    if operation in {"WATCH", "UNWATCH"}:
        assert peer.ask(operation, b"", 99) == "EINVAL"
    else:
        assert peer.ask(operation, b"", 99) == "ENOENT"


def test_a_transaction_of_another_connection_is_unknown(peer, other):
    number = other.start()
    assert peer.ask("READ", b"/\0", number) == "ENOENT"
    assert other.ask("READ", b"/\0", number) == b""


def test_replies_come_in_order_however_the_requests_are_cut(daemon):
    requests = [
        (pack(NUMBERS["WRITE"], 5, 0, b"/a/b\0v"), b"OK\0"),
        (pack(NUMBERS["READ"], 4, 0, b"/a/b\0"), b"v"),
        (pack(NUMBERS["READ"], 2**32 - 1, 0, b"/no\0"), b"ENOENT\0"),
        (pack(NUMBERS["TRANSACTION_START"], 0, 0, b""), b"1\0"),
        (pack(NUMBERS["DIRECTORY"], 8, 1, b"/a\0"), b"b\0"),
    ]
    stream = b"".join(request for request, _ in requests)
    for cut in range(len(stream) + 1):
        peer = Peer(daemon)
        peer.feed(stream[:cut])
        peer.feed(stream[cut:])
        found = peer.take()
        assert [message.payload for message in found] == [reply for _, reply in requests]
        assert [message.request for message in found] == [5, 4, 2**32 - 1, 0, 8]
        assert found[2].kind == "ERROR"
        daemon.disconnect(peer.connection)


def names_in_parts(peer, path):
    """What a client makes of DIRECTORY_PART: the names, and the generations that it saw."""
    listed, generations = b"", set()
    while True:
        reply = peer.ask("DIRECTORY_PART", path + b"\0%d\0" % len(listed))
        assert isinstance(reply, bytes)
        assert len(reply) <= 4096
        generation, _, chunk = reply.partition(b"\0")
        assert generation.isdigit()
        assert int(generation) < 2**64
        generations.add(generation)
        if chunk == b"\0" or chunk.endswith(b"\0\0"):
            return (listed + chunk[:-1]).split(b"\0")[:-1], generations
        assert chunk.endswith(b"\0")
        listed += chunk


def test_a_directory_that_is_too_long_comes_in_parts(peer):
    names = [b"name-%04d" % number for number in range(1000)]
    for name in names:
        peer.ask("MKDIR", b"/big/" + name + b"\0")
    assert peer.ask("DIRECTORY", b"/big\0") == "E2BIG"
    found, generations = names_in_parts(peer, b"/big")
    assert found == names
    assert len(generations) == 1
    peer.ask("MKDIR", b"/big/other\0")
    found, later = names_in_parts(peer, b"/big")
    assert found == [*names, b"other"]
    assert generations.isdisjoint(later)
    peer.ask("RM", b"/big/other\0")
    peer.ask("WRITE", b"/big/name-0001\0value")
    assert names_in_parts(peer, b"/big") == (names, generations)


@pytest.mark.parametrize("length", [4070, 4090, 4094, 4095, 4096, 4097])
def test_around_the_limit_of_a_reply(peer, length):
    first = b"a" * 2000
    second = b"b" * (length - len(first) - 2)
    for name in (first, second):
        peer.ask("MKDIR", b"/d/" + name + b"\0")
    whole = first + b"\0" + second + b"\0"
    assert peer.ask("DIRECTORY", b"/d\0") == (whole if length <= 4096 else "E2BIG")
    assert names_in_parts(peer, b"/d")[0] == [first, second]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (b"3\0", b"c\0\0"),
        (b"5\0", b"\0"),
        (b"6\0", b"\0"),
        (b"4294967295\0", b"\0"),
        (b"1\0", "EINVAL"),
        (b"4\0", "EINVAL"),
        (b"-1\0", "EINVAL"),
        (b"x\0", "EINVAL"),
        (b"\0", "EINVAL"),
        (b"", "EINVAL"),
        (b"0", "EINVAL"),
        (b"0\0more\0", "EINVAL"),
        (b"99999999999999999999\0", "EINVAL"),
    ],
)
def test_offsets_of_directory_part(peer, arguments, expected):
    peer.ask("MKDIR", b"/d/ab\0")
    peer.ask("MKDIR", b"/d/c\0")
    reply = peer.ask("DIRECTORY_PART", b"/d\0" + arguments)
    if isinstance(expected, bytes):
        assert isinstance(reply, bytes)
        assert reply.partition(b"\0")[2] == expected
    else:
        assert reply == expected


def test_the_first_directory_in_parts_hides_what_is_the_daemons(peer):
    assert names_in_parts(peer, b"/")[0] == [b"tool"]


def test_a_bug_costs_one_request_and_leaves_a_notice(monkeypatch):
    daemon = fresh_daemon()
    peer = Peer(daemon)

    def broken(*_):
        raise ZeroDivisionError("a bug")

    operation, handler = daemon._dispatch[NUMBERS["READ"]]
    monkeypatch.setitem(daemon._dispatch, NUMBERS["READ"], (operation, broken))
    assert peer.ask("READ", b"/\x01\0") == "EIO"
    [notice] = daemon.notices
    assert isinstance(notice.fault, ZeroDivisionError)
    assert "\\x01" in notice.text
    assert peer.ask("DIRECTORY", b"/tool\0") == b"xenstored\0"
    monkeypatch.setitem(daemon._dispatch, NUMBERS["READ"], (operation, handler))
    assert peer.ask("READ", b"/\0") == b""
