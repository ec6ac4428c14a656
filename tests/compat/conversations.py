"""Random conversations of domain 0, two guests and one that comes and goes, held with several daemons at once.

A conversation lives below a place of its own (`/r17`, and `h` in each guest's home) and is followed by a removal, so
that one that two daemons answered differently, by a listed difference, does not spoil the next. A step is sent to all
daemons before any answer is awaited. Events are gathered by a barrier: a request to each client, behind which all that
was caused before has arrived.

The wanderer is introduced, aimed, released and killed in the course of a conversation, and gone at its end, so that no
target outlives it either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.compat.parties import CLIENTS, GUESTS, WANDERER, Party, Reply

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

DEATH = "DEATH"
"""A step that is no request: the hypervisor has the wanderer no more."""


@dataclass
class Step:
    """One request. `transaction` is the conversation's own number of it."""

    who: int
    operation: str
    payload: bytes
    transaction: int = 0
    overlapped: bool = False
    """It is in a transaction, or ends one, during which somebody else changed something."""
    broken: bool = False
    replies: list[Reply] = field(default_factory=list)

    @property
    def begins(self) -> int:
        """Whose ring begins by it, 0 if none does."""
        if self.operation != "INTRODUCE" or self.broken or CLIENTS[self.who]:
            return 0
        return int(self.payload[:1])

    def __str__(self) -> str:
        inside = f" in transaction {self.transaction}" if self.transaction else ""
        return f"client {self.who} (domain {CLIENTS[self.who]}){inside}: {self.operation} {self.payload!r}"


_OFTEN = {
    **dict.fromkeys(("READ", "SET_PERMS", "WATCH", "TRANSACTION_END"), 2),
    **dict.fromkeys(("DIRECTORY", "GET_PERMS", "MKDIR", "RM", "UNWATCH", "TRANSACTION_START"), 1),
    **dict.fromkeys(("RESET_WATCHES", "GET_DOMAIN_PATH", "IS_DOMAIN_INTRODUCED"), 1),
    **dict.fromkeys(("INTRODUCE", "RELEASE", "SET_TARGET", "RESUME", DEATH), 0.5),
    "WRITE": 3,
}
CHANGES = {"WRITE", "MKDIR", "RM", "SET_PERMS", "TRANSACTION_END", "RELEASE", DEATH}
BORDERS = {"INTRODUCE", "RELEASE", DEATH}
"""Steps at which a client may end: what it was told is compared before."""


class Talk:
    """A random conversation, as it goes on."""

    def __init__(self, chance: random.Random, number: int, malformed: bool, lax: bool = False) -> None:
        """`lax`: what is malformed is to be borne by oxenstored."""
        self.chance, self.place, self.malformed, self.lax = chance, b"/r%d" % number, malformed, lax
        self.mixed = False
        """A guest has made a node where the parent may be somebody else's."""
        self.open: list[dict[int, bool]] = [{} for _ in CLIENTS]
        """Of each client, its open transactions, and whether somebody else has changed something meanwhile."""
        self.next = 1
        self.there = False
        """Whether the wanderer is."""
        self.died = False
        """Whether it was once: lists may name it that did so before."""
        self.waiting = self.opening()

    def opening(self) -> list[Step]:
        """A place where guests may do something."""
        lists = [b"n0\0b5\0b6\0", b"b0\0", b"r0\0w5\0", b"n5\0r6\0", b"w0\0r6\0", b"n0\0", b"n7\0b5\0", b"n0\0b7\0"]
        made = [
            Step(0, "MKDIR", self.place + b"\0"),
            Step(0, "SET_PERMS", self.place + b"\0" + self.chance.choice(lists)),
        ]
        for domid in GUESTS:
            home = b"/local/domain/%d/h\0" % domid
            made += [
                Step(domid - 3, "MKDIR", home),
                Step(domid - 3, "SET_PERMS", home + self.chance.choice([b"n%d\0", b"r%d\0", b"b%d\0"]) % domid),
            ]
        return made + (self.coming() if self.chance.random() < 0.5 and not self.malformed else [])

    def coming(self) -> list[Step]:
        """The wanderer is introduced, with a home of its own."""
        home = b"/local/domain/%d\0" % WANDERER
        permitted = home + b"n%d\0" % WANDERER
        made = Step(0, "INTRODUCE", b"%d\x001\x001\0" % WANDERER)
        if self.there:
            return [made]
        return [Step(0, "MKDIR", home), Step(0, "SET_PERMS", permitted), made]

    def step(self) -> Step:
        made = self.waiting.pop(0) if self.waiting else self.next_step()
        self.follow(made)
        return made

    def next_step(self) -> Step:
        chance = self.chance
        who = chance.choice([0, 0, 1, 2, 2, 3, 4, 4] if self.there else [0, 0, 1, 2, 2, 3])
        [operation] = chance.choices(list(_OFTEN), list(_OFTEN.values()))
        if operation in BORDERS and self.malformed:
            who, operation = 0, chance.choice(["INTRODUCE", "RELEASE"])
            return Step(
                0,
                operation,
                self.broken(operation, b"9\0" if operation == "RELEASE" else b"9\x001\x001\0"),
                broken=True,
            )
        if operation in BORDERS and not CLIENTS[who]:
            if not self.there or (operation == "INTRODUCE" and chance.random() < 0.7):
                self.waiting = self.coming()
                return self.waiting.pop(0)
            if operation == DEATH:
                return Step(0, DEATH, b"")
        if operation == DEATH:
            operation = "RELEASE"
        mine = self.open[who]
        if operation == "SET_TARGET" and not self.there:
            operation = "READ"
        if operation == "TRANSACTION_START" and len(mine) >= chance.choice([2, 3]):
            operation = "TRANSACTION_END"
        if operation == "RESET_WATCHES" and chance.random() < 0.7:
            operation = "WRITE"
        transaction = 0
        outside = {"TRANSACTION_START", "WATCH", "UNWATCH", "RESET_WATCHES"} | ({"RELEASE"} if self.lax else set())
        if mine and operation not in outside:
            transaction = chance.choice([*mine, *mine, 0])
        made = Step(who, operation, self.payload(who, operation), transaction)
        if self.malformed and chance.random() < 0.4:
            made.payload, made.broken = self.broken(operation, made.payload), True
        return made

    def follow(self, step: Step) -> None:
        """What it means to the open transactions, and to who owns what."""
        domid = CLIENTS[step.who]
        home = (b"h", b"/local/domain/%d/h" % domid)
        if step.operation in {"WRITE", "MKDIR"} and domid and not step.payload.startswith(home):
            self.mixed = True
        if step.operation == "SET_PERMS" and not domid and not step.payload.startswith(self.place):
            self.mixed = True
        if step.operation == "SET_TARGET" and not domid:
            # The wanderer may have other rights from now on, and what it was answered before may be another answer.
            theirs = self.open[CLIENTS.index(WANDERER)]
            theirs.update(dict.fromkeys(theirs, True))
        mine = self.open[step.who]
        step.overlapped = bool(step.transaction and mine.get(step.transaction))
        # What a domain's coming or going does is done outside of the transaction that it is asked in.
        outside = not step.transaction or step.operation in BORDERS
        if step.operation in CHANGES and (outside or step.operation == "TRANSACTION_END"):
            for at, theirs in enumerate(self.open):
                for number in theirs:
                    if outside or (at, number) != (step.who, step.transaction):
                        theirs[number] = True

    def path(self, who: int) -> bytes:
        chance = self.chance
        name = b"/".join(chance.choices([b"a", b"b", b"c"], k=chance.choice([0, 1, 1, 2, 2, 3])))
        domid = CLIENTS[who]
        tops = [self.place, self.place, self.place, b"h", b"/local/domain/5/h", b"/local/domain/6/h"]
        top = chance.choice([*tops, b"/local/domain/7/h", b"h"] if self.there else tops)
        if top == b"h" and not domid:
            top = self.place
        return (top + b"/" + name).rstrip(b"/")

    def payload(self, who: int, operation: str) -> bytes:
        chance = self.chance
        path = self.path(who)
        if operation == "WRITE":
            return path + b"\0" + chance.choice([b"", b"1", b"two", b"\0\xff", b"v" * 40, b"v" * 80])
        if operation == "SET_PERMS":
            first = (
                b"%d" % CLIENTS[who]
                if CLIENTS[who] and chance.random() < 0.8
                else chance.choice([b"0", b"5", b"6", b"7"])
            )
            more = [
                chance.choice([b"r5", b"b5", b"r6", b"w6", b"n5", b"b0", b"b7", b"r7"])
                for _ in range(chance.choice([0, 1, 1, 2, 3]))
            ]
            return (
                path
                + b"\0"
                + b"".join(entry + b"\0" for entry in (chance.choice([b"n", b"r", b"w", b"b"]) + first, *more))
            )
        if operation in {"WATCH", "UNWATCH"}:
            special = chance.choice([b"@releaseDomain", b"@introduceDomain"])
            path = chance.choice([path, path, path, special if not CLIENTS[who] else path])
            return path + b"\0" + chance.choice([b"t", b"u"]) + b"\0"
        if operation == "TRANSACTION_END":
            return chance.choice([b"T\0", b"T\0", b"T\0", b"F\0"])
        if operation in {"TRANSACTION_START", "RESET_WATCHES"}:
            return b"\0"
        if operation in {"GET_DOMAIN_PATH", "IS_DOMAIN_INTRODUCED"}:
            return chance.choice([b"0", b"5", b"6", b"7", b"32752"]) + b"\0"
        if operation == "INTRODUCE":
            return chance.choice([b"5", b"6", b"7"]) + b"\x001\x001\0"
        if operation == "RELEASE":
            return (b"7" if self.there and chance.random() < 0.8 else b"9") + b"\0"
        if operation == "RESUME":
            return chance.choice([b"5", b"6", b"7", b"7", b"9"]) + b"\0"
        if operation == "SET_TARGET":
            one, two = chance.choice([(b"7", b"5"), (b"7", b"6"), (b"7", b"9")])
            return one + b"\0" + two + b"\0"
        return path + b"\0"

    def broken(self, operation: str, payload: bytes) -> bytes:
        """The payload, malformed. oxenstored waits for more than nothing, and empties the store at an RM of "/"."""
        while True:
            made = self.mutated(payload)
            if not self.lax or (made and (operation, made) != ("RM", b"/\0")):
                return made

    def mutated(self, payload: bytes) -> bytes:
        chance = self.chance
        at = chance.randrange(len(payload) + 1)
        how = chance.randrange(5)
        if how == 0:
            return payload.rstrip(b"\0")
        if how == 1:
            return payload[:at] + chance.choice([b"\0", b"/", b"//", b"@", b" ", b".", b"\xff"]) + payload[at:]
        if how == 2:
            return payload[:at]
        if how == 3:
            return payload + chance.choice([b"\0", b"x", b"x\0"])
        return chance.choice([b"", b"\0", b"/\0", b"//\0", b"@\0", b"/local/domain/\0"])


class Table:
    """Several daemons at one table."""

    def __init__(self, parties: Sequence[Party]) -> None:
        self.parties = list(parties)

    def ask(self, step: Step, talk: Talk) -> list[Reply]:
        """All replies to one step, and what follows for the transactions."""
        if step.operation == DEATH:
            for party in self.parties:
                party.dies()
            step.replies = [b"OK\0"] * len(self.parties)
        else:
            introduced = step.begins
            for party in self.parties:
                known = party.transactions[step.who]
                number = known.get(step.transaction, 0)
                if introduced:
                    party.begins(introduced)
                party.client(step.who).send(step.operation, step.payload, number)
            step.replies = [party.client(step.who).receive() for party in self.parties]
        self.follow(step, talk)
        return step.replies

    def follow(self, step: Step, talk: Talk) -> None:
        started = step.operation == "TRANSACTION_START" and all(isinstance(reply, bytes) for reply in step.replies)
        ended = step.operation == "TRANSACTION_END" and step.replies[-1] != "EINVAL"
        if started:
            for party, reply in zip(self.parties, step.replies, strict=True):
                party.transactions[step.who][talk.next] = int(bytes(reply)[:-1])  # type: ignore[arg-type]
            talk.open[step.who][talk.next] = False
            talk.next += 1
            step.replies = [b"started\0"] * len(step.replies)
        if ended:
            talk.open[step.who].pop(step.transaction, None)
            for party in self.parties:
                party.transactions[step.who].pop(step.transaction, None)
        if step.operation == "RESET_WATCHES" and step.replies[-1] == b"OK\0":
            talk.open[step.who].clear()
            for party in self.parties:
                party.transactions[step.who].clear()
        if (step.operation == DEATH or (step.operation in BORDERS and not step.broken)) and step.replies[-1] == b"OK\0":
            self.follow_domain(step, talk)

    def follow_domain(self, step: Step, talk: Talk) -> None:
        """Who has come, or gone."""
        domid = WANDERER if step.operation == DEATH else int(step.payload[:1])
        talk.open[CLIENTS.index(domid)].clear()
        if domid == WANDERER:
            talk.there = step.operation == "INTRODUCE"
            talk.died = talk.died or not talk.there
        if step.operation == "RELEASE":
            for party in self.parties:
                party.goes(CLIENTS.index(domid))

    def events(self) -> list[list[set[tuple[bytes, bytes]]]]:
        """Of each party, of each client, what it was told since the last time."""
        for party in self.parties:
            for who in party.present:
                party.client(who).send("GET_DOMAIN_PATH", b"0\0", 0)
        found = []
        for party in self.parties:
            told: list[set[tuple[bytes, bytes]]] = [set() for _ in CLIENTS]
            for who in party.present:
                client = party.client(who)
                client.receive()
                told[who].update(client.events)
                client.events.clear()
            found.append(told)
        return found

    def clear(self, *places: bytes) -> None:
        """Nothing of the conversation in these places is left."""
        for party in self.parties:
            for who in party.present:
                party.ask(who, "RESET_WATCHES", b"\0")
                party.transactions[who].clear()
            party.ask(0, "RELEASE", b"%d\0" % WANDERER)
            party.goes(len(CLIENTS) - 1)
            party.ask(0, "RELEASE", b"9\0")  # what is malformed may have introduced it
            (party.daemon.directory / f"dead.{WANDERER}").unlink(missing_ok=True)
            # oxenstored takes entries out of lists, also if there was no such domain to be released.
            party.ask(0, "SET_PERMS", b"/\0n0\0")
            for path in (*places, b"/local/domain/5/h", b"/local/domain/6/h", b"/local/domain/7"):
                party.ask(0, "RM", path + b"\0")
        self.events()
