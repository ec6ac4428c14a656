"""The same bytes to Debian's C xenstored and to ours: the same replies and the same events, but for a list.

Scripts are fixed requests on one privileged connection; random ones are in test_conversations.py. The listed
differences are the deliberate ones of docs/xenstore.md that a script here meets; each names both answers, so that one
that goes away is noticed. Events are compared as sets, since C lists children in the order of creation; so are
directories.
"""

import struct

import pytest

from tests.compat import peers
from tests.daemon.conversation import NUMBERS, cut, pair
from xsadapter.wire import pack

OK = b"OK\0"


class Wire:
    """One connection to a real daemon."""

    def __init__(self, daemon):
        self.stream = daemon.connect()
        self.stream.settimeout(peers.PATIENCE)
        self.request = 0

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.stream.recv(count - len(data))
            assert piece, "the daemon closed the connection"
            data += piece
        return data

    def ask(self, operation, payload, transaction=0):
        """The reply's payload or the error's name, and the set of events that came before it."""
        self.request += 1
        self.stream.sendall(pack(NUMBERS[operation], self.request, transaction, payload))
        events = set()
        while True:
            header = self.exactly(16)
            [message] = cut(header + self.exactly(struct.unpack("=4I", header)[3]))
            if message.kind == "EVENT":
                events.add(pair(message))
                continue
            assert (message.request, message.transaction) == (self.request, transaction)
            reply = message.payload[:-1].decode() if message.kind == "ERROR" else message.payload
            if operation == "DIRECTORY" and isinstance(reply, bytes):
                reply = b"".join(name + b"\0" for name in sorted(reply.split(b"\0")[:-1]))
            return reply, events

    def close(self):
        self.stream.close()


SCRIPTS = {
    "values": [
        ("WRITE", b"/a/b\0value"),
        ("READ", b"/a/b\0"),
        ("READ", b"/a\0"),
        ("WRITE", b"/a\0\0\xff\0"),
        ("READ", b"/a\0"),
        ("READ", b"/none\0"),
        ("READ", b"/none/below\0"),
        ("WRITE", b"/a\0" + b"v" * 4000),
        ("READ", b"/a\0"),
        ("READ", b"/\0"),
    ],
    "directories": [
        ("MKDIR", b"/a/b/c\0"),
        ("MKDIR", b"/a\0"),
        ("DIRECTORY", b"/a\0"),
        ("DIRECTORY", b"/a/b/c\0"),
        ("DIRECTORY", b"/none\0"),
        ("DIRECTORY", b"/\0"),
    ],
    "removal": [
        ("MKDIR", b"/a/b/c\0"),
        ("RM", b"/a/b\0"),
        ("RM", b"/a/b\0"),
        ("RM", b"/a/b/c\0"),
        ("RM", b"/\0"),
        ("READ", b"/a/b\0"),
    ],
    "permissions": [
        ("MKDIR", b"/a\0"),
        ("GET_PERMS", b"/a\0"),
        ("SET_PERMS", b"/a\0b5\0r6\0w7\0n8\0"),
        ("GET_PERMS", b"/a\0"),
        ("MKDIR", b"/a/b/c\0"),
        ("GET_PERMS", b"/a/b\0"),
        ("SET_PERMS", b"/a\0"),
        ("SET_PERMS", b"/a\0x5\0"),
        ("SET_PERMS", b"/none\0n0\0"),
        ("GET_PERMS", b"/none\0"),
        ("GET_PERMS", b"/\0"),
        ("SET_PERMS", b"@releaseDomain\0n0\0r3\0"),
    ],
    "relative paths": [
        ("WRITE", b"rel/x\0v"),
        ("READ", b"/local/domain/0/rel/x\0"),
        ("WATCH", b"rel\0t\0"),
        ("WRITE", b"/local/domain/0/rel/y\0v"),
        ("RM", b"rel\0"),
    ],
    "watches": [
        ("WATCH", b"/w\0t\0"),
        ("WATCH", b"/w\0t\0"),
        ("WATCH", b"/w\0u\0"),
        ("WATCH", b"@releaseDomain\0t\0"),
        ("WATCH", b"/w/gone\0t\0"),
        ("WATCH", b"/w/a/b\0t\0"),
        ("WRITE", b"/w/a/b\0v"),
        ("WRITE", b"/w/a/b\0v"),
        ("MKDIR", b"/w/a\0"),
        ("MKDIR", b"/w/c\0"),
        ("SET_PERMS", b"/w/a\0n1\0"),
        ("RM", b"/w/none\0"),
        ("RM", b"/w\0"),
        ("UNWATCH", b"/w\0t\0"),
        ("UNWATCH", b"/w\0t\0"),
        ("UNWATCH", b"/w\0none\0"),
        ("WRITE", b"/w\0v"),
        ("RESET_WATCHES", b"\0"),
        ("WRITE", b"/w\0v"),
    ],
    "transactions": [
        ("TRANSACTION_END", b"T\0"),
        ("TRANSACTION_START", b"\0"),
        ("READ", b"/none\0", 1),
        ("WRITE", b"/x/y\0v", 1),
        ("READ", b"/x/y\0", 1),
        ("READ", b"/x/y\0"),
        ("DIRECTORY", b"/x\0", 1),
        ("TRANSACTION_START", b"\0", 1),
        ("TRANSACTION_START", b"\0", 77),
        ("TRANSACTION_END", b"X\0", 1),
        ("TRANSACTION_END", b"T", 1),
        ("TRANSACTION_END", b"T\0", 1),
        ("TRANSACTION_END", b"T\0", 1),
        ("READ", b"/x/y\0"),
        ("READ", b"/x/y\0", 1),
        ("TRANSACTION_START", b"\0"),
        ("WRITE", b"/x/z\0v", 2),
        ("TRANSACTION_END", b"F\0", 2),
        ("READ", b"/x/z\0"),
        ("WATCH", b"/x\0t\0"),
        ("TRANSACTION_START", b"\0"),
        ("WRITE", b"/x/z\0v", 3),
        ("WRITE", b"/x/z\0w", 3),
        ("RM", b"/x/y\0", 3),
        ("WRITE", b"/x/new\0", 3),
        ("RM", b"/x/new\0", 3),
        ("TRANSACTION_END", b"T\0", 3),
        ("TRANSACTION_START", b"\0"),
        ("RESET_WATCHES", b"\0"),
        ("READ", b"/x\0", 4),
    ],
    "what is changed and goes with its parent": [
        ("WRITE", b"/x/y\0v"),
        ("WRITE", b"/x/z\0v"),
        ("MKDIR", b"/x/read\0"),
        ("WATCH", b"/x\0t\0"),
        ("WATCH", b"/x/z\0exactly\0"),
        ("TRANSACTION_START", b"\0"),
        ("WRITE", b"/x/y\0w", 1),
        ("SET_PERMS", b"/x/z\0n1\0", 1),
        ("READ", b"/x/read\0", 1),
        ("WRITE", b"/x/new\0w", 1),
        ("RM", b"/x\0", 1),
        ("TRANSACTION_END", b"T\0", 1),
    ],
    "a conflict": [
        ("WRITE", b"/k\x001"),
        ("TRANSACTION_START", b"\0"),
        ("READ", b"/k\0", 1),
        ("WRITE", b"/k\x002"),
        ("WRITE", b"/k\x003", 1),
        ("TRANSACTION_END", b"T\0", 1),
        ("READ", b"/k\0"),
    ],
    "domains": [
        ("GET_DOMAIN_PATH", b"5\0"),
        ("GET_DOMAIN_PATH", b"0\0"),
        ("IS_DOMAIN_INTRODUCED", b"0\0"),
        ("IS_DOMAIN_INTRODUCED", b"5\0"),
        ("IS_DOMAIN_INTRODUCED", b"32752\0"),
    ],
    "unknown operations": [("RESTRICT", b"1\0"), ("ERROR", b"\0"), ("INVALID", b""), ("READ", b"/\0")],
    "control": [("CONTROL", b"nosuch\0"), ("CONTROL", b"print\0hello\0")],
    "malformed": [
        ("READ", b"relative//path\0"),
        ("READ", b"/a b\0"),
        ("WRITE", b"no nul at all"),
        ("WATCH", b"/a\0"),
        ("WATCH", b"/a/\0t\0"),
        ("UNWATCH", b"/a\0"),
        ("READ", b"@releaseDomain\0"),
        ("WRITE", b"@releaseDomain\0v"),
    ],
    "directory in parts": [
        *(("MKDIR", b"/big/" + b"n" * 100 + b"%03d\0" % number) for number in range(60)),
        ("DIRECTORY", b"/big\0"),
    ],
}


@pytest.fixture(scope="module")
def both():
    peers.need(*peers.C_NEEDS)
    with (
        peers.short_directory() as here,
        peers.short_directory() as there,
        peers.c_xenstored(here) as c,
        peers.our_xenstored(there, "--memory") as ours,
    ):
        yield c, ours


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script(both, script):
    c, ours = (Wire(daemon) for daemon in both)
    try:
        for step in script:
            assert ours.ask(*step) == c.ask(*step), step
    finally:
        for wire in (c, ours):
            for name in (b"/a\0", b"/w\0", b"/x\0", b"/k\0", b"/big\0"):
                wire.ask("RM", name)
            wire.close()


DIFFERENT = {
    "a sibling was made meanwhile": (
        [("TRANSACTION_START", b"\0"), ("WRITE", b"/s/a\0", 1), ("WRITE", b"/s/b\0"), ("TRANSACTION_END", b"T\0", 1)],
        "EAGAIN",
        OK,
    ),
    "a blind write": (
        [("WRITE", b"/s\x001"), ("TRANSACTION_START", b"\0"), ("WRITE", b"/s\x002", 1), ("WRITE", b"/s\x003"),
         ("TRANSACTION_END", b"T\0", 1)],
        "EAGAIN",
        OK,
    ),
    "a transaction's view": (
        [("WRITE", b"/s\x001"), ("TRANSACTION_START", b"\0"), ("WRITE", b"/s\x002"), ("READ", b"/s\0", 1)],
        b"2",
        b"1",
    ),
    "a permission for nobody": ([("MKDIR", b"/s\0"), ("SET_PERMS", b"/s\0r65536\0")], "ENOENT", "EINVAL"),
    "the permissions of a special name": ([("GET_PERMS", b"@introduceDomain\0")], "EINVAL", b"n0\0"),
    "a watch with a depth": ([("WATCH", b"/s\0t\x001\0")], "EINVAL", OK),
}  # fmt: skip


@pytest.mark.parametrize(("script", "theirs", "ours"), DIFFERENT.values(), ids=DIFFERENT)
def test_a_deliberate_difference(both, script, theirs, ours):
    for daemon, expected in zip(both, (theirs, ours), strict=True):
        wire = Wire(daemon)
        *_, (reply, _) = [wire.ask(*step) for step in script]
        wire.ask("RM", b"/s\0")
        wire.close()
        assert reply == expected, daemon.name
