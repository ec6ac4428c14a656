"""Millions of malformed inputs: requests by grammar, then broken, on sockets and on rings.

Everything follows from a seed. A world has two privileged clients and three guests whose rings are pages in memory;
what they send is a request of the table with words that mean something to the daemon, of which one in two is then
mutated: bytes flipped, cut, doubled or put in, lengths and ids changed, indexes of the ring moved. What has to hold
after each: nothing escapes, the daemon comes to rest, what it sent is whole frames of at most 4,096 bytes, its queues
and readers are bounded; now and then: every account is what a recount finds, and no request was answered after a bug.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from tests.daemon.conversation import Host, Peer, cut, fresh_daemon, ring_of
from tests.daemon.test_accounts import check
from tests.daemon.test_ring import Guest
from xsadapter.engine import lives
from xsadapter.engine.quotas import QUOTAS
from xsadapter.operations import OPERATIONS, Kind
from xsadapter.transport.ring import RingClient
from xsadapter.wire import FRAME_MAX, HEADER, FrameError, pack

if TYPE_CHECKING:
    import random

GUESTS = (5, 6, 7)
PATHS = (
    *(b"/", b"/a", b"/a/b", b"/a/b/c", b"/local/domain/5", b"/local/domain/5/x", b"/local/domain/6/y", b"/tool", b"x"),
    *(b"x/y", b"x/y/z", b"", b"//", b"/a/", b"/local/domain/", b"@releaseDomain", b"@introduceDomain", b"@x/5", b"/."),
    *(b"/a" * 1024, b"n" * 2048, b"/" + b"n" * 3072, b"x/" * 500 + b"x", b"/.xsadapter", b"/.xsadapter/boot"),
)
NUMBERS = (
    b"0",
    b"1",
    b"2",
    b"5",
    b"6",
    b"7",
    b"9",
    b"15",
    b"32757",
    b"65535",
    b"65536",
    b"4294967296",
    b"-1",
    b"1_0",
    b"",
)
WORDS = (
    *PATHS, *NUMBERS, *(b"n0", b"b5", b"r6", b"w7", b"n9", b"x5", b"r", b"T", b"F", b"t", b"token", b"\xff\n\x1b"),
    *(b"help", b"check", b"memreport", b"quota", b"max", b"-r", b"set", b"domains", b"watches", b"log"),
    *(b"history", b"info", b"at", b"list", b"diff", b"explain", b"now", b"1s ago", b"@5", b"2-", b"1-00000000"),
    *(name.encode() for name in QUOTAS), b"v" * 2000, bytes(4000),
)  # fmt: skip
_KINDS = tuple(operation.number for operation in OPERATIONS)
PLACES = (b"/a", b"/a/b", b"/a/b/c", b"x", b"x/y", b"/local/domain/5", b"/local/domain/5/x", b"/", b"@releaseDomain")
DOMIDS = (b"5", b"6", b"7", b"8", b"9", b"0")
VALUES = (b"", b"1", b"v" * 100, b"v" * 2000, bytes(4000))
LISTS = (b"n0", b"n5", b"b6", b"r7", b"w32757", b"b9")
TOKENS = (b"t", b"token", b"\xff\n\x1b")
NAMES = tuple(name.encode() for name in QUOTAS)
_FORMS = {
    Kind.CONTROL: ((b"help", b"check", b"memreport", b"quota", b"domains", b"watches", b"transactions"),),
    **dict.fromkeys((Kind.DIRECTORY, Kind.READ, Kind.GET_PERMS, Kind.MKDIR, Kind.RM), (PLACES,)),
    **dict.fromkeys((Kind.WATCH, Kind.UNWATCH), (PLACES, TOKENS)),
    **dict.fromkeys((Kind.TRANSACTION_START, Kind.RESET_WATCHES), ((b"",),)),
    Kind.TRANSACTION_END: ((b"T", b"T", b"F"),),
    Kind.INTRODUCE: (DOMIDS[:-1], NUMBERS, (b"7",)),
    **dict.fromkeys((Kind.RELEASE, Kind.GET_DOMAIN_PATH, Kind.IS_DOMAIN_INTRODUCED, Kind.RESUME), (DOMIDS,)),
    Kind.WRITE: (PLACES, VALUES),
    Kind.SET_PERMS: (PLACES, LISTS, LISTS),
    Kind.SET_TARGET: (DOMIDS, DOMIDS),
    Kind.DIRECTORY_PART: (PLACES, (b"0", b"2", b"5")),
    Kind.GET_FEATURE: (DOMIDS,),
    Kind.SET_FEATURE: (DOMIDS, (b"0", b"4", b"15")),
    Kind.GET_QUOTA: (NAMES,),
    Kind.SET_QUOTA: (DOMIDS, NAMES, (b"0", b"5", b"100", b"100000")),
}
"""What a request of each kind may well say, word by word."""
_OFTEN = (2, 1, 3, 11, 11, 11, 12, 13, 14, 4, 4, 5, 5, 5, 6, 6, 7, 22)


class World:
    """A daemon, and clients that send what they should not."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.host = chance, Host()
        self.host.kill(9)
        self.daemon = fresh_daemon(self.host)
        self.toolstack = Peer(self.daemon)
        self.streams = [Peer(self.daemon), Peer(self.daemon)]
        self.answered: Counter[str] = Counter()
        """What the streams were answered, by kind; an error is one of its own."""
        self.rings: dict[int, tuple[Guest, RingClient]] = {}
        for domid in GUESTS:
            self.introduce(domid)

    def introduce(self, domid: int) -> None:
        home = b"/local/domain/%d\0" % domid
        self.tell("MKDIR", home)
        self.tell("SET_PERMS", home + b"n%d\0" % domid)
        if self.tell("INTRODUCE", b"%d\x001\x007\0" % domid) == b"OK\0":
            guest = Guest(self.chance.choice([0, 5, 2**32 - 700]))
            connection = ring_of(self.daemon, domid).connection
            self.rings[domid] = guest, RingClient(self.daemon, connection, guest.ring, 1000 + domid, lambda _: None)

    def tell(self, operation: str, payload: bytes) -> bytes | str:
        """What the toolstack asks for; whoever holds a turn that it may need has slept for too long."""
        if self.daemon.turns.held:
            self.daemon.flow.now += 1
            self.daemon.turns.expire()
        return self.toolstack.ask(operation, payload)

    def request(self) -> bytes:
        """One request, well-formed but for its meaning, or broken."""
        chance = self.chance
        kind = chance.choice(_OFTEN if chance.random() < 0.7 else _KINDS)
        words = [chance.choice(choices) for choices in _FORMS[kind]] if chance.random() < 0.6 else self.words(kind)
        payload = b"".join(word + b"\0" for word in words)[: chance.choice([60, 4096, 4096, 4096])]
        if kind == Kind.WRITE:
            payload = payload[:-1]
        frame = pack(kind, chance.getrandbits(32), chance.choice([0] * 8 + [1, 1, 2, 3, 2**32 - 1]), payload)
        if chance.random() < 0.5:
            frame = self.mutated(frame)
            if chance.random() < 0.99 and len(frame) >= HEADER.size:
                # Most of them stay in step, or a client would say nothing of sense after its first mutation.
                payload = frame[HEADER.size :][: FRAME_MAX - HEADER.size]
                frame = frame[:12] + len(payload).to_bytes(4, sys.byteorder) + payload
        return frame

    def words(self, kind: int) -> list[bytes]:
        """Any number of any words."""
        words = self.chance.choices(WORDS, k=self.chance.choice([0, 1, 1, 2, 2, 2, 3, 4]))
        if _FORMS[kind] and _FORMS[kind][0] is PLACES and words:
            words[0] = self.chance.choice(PATHS)
        return words

    def mutated(self, frame: bytes) -> bytes:
        chance = self.chance
        data = bytearray(frame)
        for _ in range(chance.choice([1, 1, 2, 5])):
            at = chance.randrange(len(data)) if data else 0
            how = chance.randrange(8)
            if how < 3 and data:
                data[at] = chance.choice([0, 255, 47, 64, data[at] ^ 1 << chance.randrange(8), chance.randrange(256)])
            elif how == 3:
                data[at:at] = chance.choice([b"\0", b"/", b"//", b"@", chance.randbytes(4)])
            elif how == 4:
                del data[at : at + chance.choice([1, 2, 16])]
            elif how == 5:
                data[at:at] = data[at : at + chance.choice([1, 20, 300])]
            elif how == 6 and len(data) >= HEADER.size:
                HEADER.pack_into(
                    data,
                    0,
                    *(
                        chance.choice([word, word, chance.getrandbits(32), 4096, 4097, 0])
                        for word in HEADER.unpack_from(data)
                    ),
                )
            else:
                data = data[:at]
        return bytes(data)

    def once(self) -> None:
        """One input, and everything that follows from it."""
        deed = self.chance.random()
        if deed < 0.3:
            self.stream(self.chance.randrange(len(self.streams)))
        elif deed < 0.98:
            self.ring(self.chance.choice(GUESTS))
        else:
            self.outside(self.chance.choice(GUESTS))

    def stream(self, at: int) -> None:
        peer = self.streams[at]
        data = self.request()
        try:
            peer.connection.reader.feed(data)
            self.rest(lambda: self.daemon.step(peer.connection))
        except FrameError:
            self.daemon.disconnect(peer.connection)
            self.streams[at] = Peer(self.daemon)
            return
        self.answered.update(message.kind for message in cut(b"".join(peer.connection.output)))
        peer.connection.sent_all()

    def ring(self, domid: int) -> None:
        if domid not in self.rings:
            self.introduce(domid)
            return
        guest, client = self.rings[domid]
        chance = self.chance
        if client.connection.closed:
            del self.rings[domid]
            client.receive()
            client.step()
            client.send()
            return
        guest.put(self.request())
        if chance.random() < 0.02:
            guest.words[chance.choice(range(512, 520))] = chance.choice([0, 1, 2, 5000, chance.getrandbits(32)])
        try:
            client.receive()
            self.rest(client.step)
        except FrameError as error:
            client.broke(found=str(error))
        if chance.random() < 0.8:
            client.send()
        client.turn_ends()
        guest.words[514] = guest.words[515]
        connection = client.connection
        assert connection.reader.pending <= FRAME_MAX + 1024
        assert sum(map(len, connection.output)) <= (connection.domain.limits["memory"] or 2**40) + 2 * FRAME_MAX
        if connection.ignored:
            guest.words[517] = 1
            client.receive()

    def outside(self, domid: int) -> None:
        """What is not the clients' doing."""
        what = self.chance.randrange(4)
        if what == 0:
            self.host.reuse(domid)
            lives.scan(self.daemon)
        elif what == 1:
            self.tell("RELEASE", b"%d\0" % domid)
        elif what == 2:
            self.tell("SET_TARGET", b"%d\0%d\0" % (domid, self.chance.choice(GUESTS)))
        else:
            self.daemon.flow.now += self.chance.choice([0.01, 1, 30])
            self.daemon.turns.expire()
            self.daemon.expire()

    def rest(self, step: object) -> None:
        """The daemon comes to rest: no input has more requests in it than bytes for their headers."""
        for _ in range(2 * FRAME_MAX // HEADER.size):
            if not step():  # type: ignore[operator]
                self.daemon.waiting.clear()
                self.daemon.flow.resumed.clear()
                return
        raise AssertionError("more requests were carried out than were sent")

    def check(self) -> None:
        faults = [notice for notice in self.daemon.notices if notice.fault]
        assert not faults, [(notice.text, notice.fault) for notice in faults]
        self.daemon.notices.clear()
        check(self.daemon)

    def close(self) -> None:
        """All domains die: nothing of them is left."""
        for domid in range(1, 65536):
            if self.daemon.domains.get(domid) is not None:
                self.host.kill(domid)
        lives.scan(self.daemon)
        self.check()
        left = {domain.domid for domain in self.daemon.domains}
        assert left == {0}, left
        for connection in list(self.daemon.connections.values()):
            assert connection.domid == 0, connection.author
            self.daemon.disconnect(connection)
        assert not self.daemon.watches.count
        assert not self.daemon.turns.held
        assert not self.daemon.turns._claims
        self.daemon.store.close()
