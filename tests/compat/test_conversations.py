"""Random conversations of domain 0 and guests: every reply and every set of events is that of the stock daemons.

Or it is in the table of docs/xenstore.md, of which `listed` names the row. C answers everything as ours does, but for
transactions during which others change something; oxenstored has its own mind about missing nodes, owners, events and
what is malformed. C may abort of what is malformed: then both begin again, and ours must have lived.
bench/differential.py does this by the million.
"""

import contextlib
import random
from pathlib import Path

import pytest

from tests.compat import peers
from tests.compat.conversations import BORDERS, DEATH, Table, Talk
from tests.compat.parties import CLIENTS, GUESTS, WANDERER, Party, Stream

STEPS = 46
BARRIER = 5
DOCUMENT = (Path(__file__).parents[2] / "docs" / "xenstore.md").read_text()
READS = {"READ", "DIRECTORY", "GET_PERMS", "GET_DOMAIN_PATH", "IS_DOMAIN_INTRODUCED"}

VIEW = "a node changed by others after START, read inside"
SIBLING = "sibling created meanwhile, END"
MALFORMED = "malformed path"
NO_NUMBER = "GET_DOMAIN_PATH of no number"
SPECIAL = "GET_PERMS of `@releaseDomain`"
MISSING = "a guest asks for a missing node below one that it may not read"
OWNER = "owner of a node that a guest makes"
CHANGED = "a guest changes a node's owner"
UNSEEN = "RM of a parent, watch on a child that is not there"
NET = "events of a transaction"
ENTRIES = "permission entries of a domain that has died"
UNKNOWN = "RELEASE, RESUME of a domain that is not introduced"
AIMLESS = "SET_TARGET at a domain that is not introduced"
NAMELESS = "SET_PERMS of another `@name`"
NOBODY = "SET_PERMS naming a domain that does not exist"
WATCHED = "watch, transaction over the quota"
AT_END = "more nodes than the quota, inside a transaction"
NULS = "arguments of INTRODUCE, RELEASE, RESUME, SET_TARGET that are malformed"
ORDINARY = "read, write and so on of `@releaseDomain`"
UNENDED = "TRANSACTION_END with `T` without its NUL"
TAIL = "bytes behind the last NUL of WATCH, UNWATCH"
THERE = "MKDIR of a node that is there and the guest may not write"
SILENT = "nodes that go with their domain"
ROWS = (
    *(VIEW, SIBLING, MALFORMED, NO_NUMBER, SPECIAL, MISSING, OWNER, CHANGED, UNSEEN, NET),
    *(ENTRIES, UNKNOWN, AIMLESS, NAMELESS, NOBODY, WATCHED, AT_END, SILENT),
    *(NULS, ORDINARY, UNENDED, TAIL, THERE),
)


def lax(step, theirs, ours):
    """The row by which oxenstored takes something malformed otherwise."""
    if step.payload.startswith(b"@") or (step.operation, step.payload) == ("DIRECTORY", b"/\0"):
        return ORDINARY
    if step.operation in {"GET_DOMAIN_PATH", "IS_DOMAIN_INTRODUCED"} and ours == "EINVAL":
        return NO_NUMBER
    if step.operation == "TRANSACTION_END" and ours == "EINVAL":
        return UNENDED
    if step.operation in {"INTRODUCE", "RELEASE", "RESUME", "SET_TARGET"}:
        return NULS
    if step.operation in {"WATCH", "UNWATCH"} and theirs == "EINVAL":
        return TAIL
    return MALFORMED if isinstance(theirs, str) and ours == "EINVAL" else None


def listed(stock, talk, step, theirs, ours):
    """The row of the table that has this difference; None if there is none."""
    guest = CLIENTS[step.who] != 0
    if step.overlapped:
        return SIBLING if step.operation == "TRANSACTION_END" else VIEW
    if step.operation == "WATCH" and (theirs, ours) == ("E2BIG", "ENOSPC"):
        return WATCHED
    if step.transaction and step.operation in {"WRITE", "MKDIR"} and (theirs, ours) == ("ENOSPC", b"OK\0"):
        return AT_END
    if stock != "OCaml" and talk.died and (theirs == "ENOSPC" or step.operation == "GET_PERMS") and not step.broken:
        return ENTRIES
    if stock != "OCaml":
        if step.broken and step.operation in {"GET_DOMAIN_PATH", "IS_DOMAIN_INTRODUCED"} and ours == "EINVAL":
            return NO_NUMBER
        if step.broken and step.payload.startswith(b"@") and step.operation in {"GET_PERMS", "SET_PERMS"}:
            return SPECIAL if step.operation == "GET_PERMS" else NAMELESS
        return MALFORMED if step.broken and ours == "EINVAL" else None
    if step.operation in {"RELEASE", "RESUME"} and (theirs, ours) == ("EINVAL", "ENOENT"):
        return UNKNOWN
    if step.operation == "SET_PERMS" and talk.died and (theirs, ours) == (b"OK\0", "ENOENT"):
        return NOBODY
    if step.operation == "SET_TARGET" and (theirs, ours) == (b"OK\0", "ENOENT"):
        return AIMLESS
    if step.broken and (row := lax(step, theirs, ours)) is not None:
        return row
    if step.operation == "MKDIR" and (theirs, ours) == (b"OK\0", "EACCES"):
        return THERE
    if guest and ours == "EACCES" and (theirs == "ENOENT" or (step.operation == "RM" and theirs == b"OK\0")):
        return MISSING
    if guest and (theirs, ours) == ("EACCES", "EPERM"):
        return CHANGED
    return OWNER if talk.mixed else None


def harmless(row, step, theirs, ours):
    """Whether both daemons are in the same state after this difference."""
    return row == MISSING or step.operation in READS or (isinstance(theirs, str) and isinstance(ours, str))


def compare_events(stock, told, last):
    """Sets of events of each client since the last barrier."""
    for theirs, ours in zip(*told, strict=True):
        if stock != "OCaml":
            assert ours == theirs, (ours - theirs, theirs - ours)
        elif any(step.operation in {"RELEASE", DEATH} for step in last):
            assert special(ours) == special(theirs)  # SILENT
        else:
            assert ours <= theirs, ours - theirs
            # UNSEEN, NET
            assert ours == theirs or any(step.operation in {"RM", "TRANSACTION_END"} for step in last), theirs - ours


def special(events):
    return {event for event in events if event[0].startswith(b"@")}


def compare(stock, table, talk, last):
    """What everybody was told in the last steps."""
    told = table.events()
    if not talk.mixed or stock != "OCaml":
        compare_events(stock, told, last)


def talk_it_through(stock, table, talk):
    """One conversation: the steps that were taken. AssertionError with all of them if a difference is not listed."""
    steps, last = [], []
    try:
        while len(steps) < STEPS:
            step = talk.step()
            if step.operation in BORDERS:
                compare(stock, table, talk, last)
                last = []
            steps.append(step)
            last.append(step)
            theirs, ours = table.ask(step, talk)
            if theirs != ours:
                row = listed(stock, talk, step, theirs, ours)
                assert row is not None, f"{theirs!r}, ours {ours!r}"
                if not harmless(row, step, theirs, ours):
                    return steps
            if len(last) >= BARRIER:
                compare(stock, table, talk, last)
                last = []
    except AssertionError as error:
        text = "\n".join(f"{step} -> {step.replies}" for step in steps)
        raise AssertionError(f"{text}\n{error}") from error
    return steps


def anew(daemon):
    """Nothing is left in ours of what was said when the stock daemon died."""
    with contextlib.closing(Stream(daemon)) as toolstack:

        def ask(operation, payload):
            toolstack.send(operation, payload, 0)
            return toolstack.receive()

        for domid in (*GUESTS, WANDERER, 9):
            ask("RELEASE", b"%d\0" % domid)
        for name in ask("DIRECTORY", b"/\0").split(b"\0")[:-1]:
            ask("RM", b"/%b\0" % name)
        ask("WRITE", b"/\0")
        ask("MKDIR", b"/tool/xenstored\0")
        for place in (b"/", b"@introduceDomain", b"@releaseDomain"):
            ask("SET_PERMS", place + b"\0n0\0")


STOCK = {
    "C": (peers.C_NEEDS, peers.c_xenstored),
    "OCaml": (peers.OX_NEEDS, peers.ox_xenstored),
    "C with quotas": (peers.C_NEEDS, lambda place: peers.c_xenstored(place, *C_QUOTAS)),
}
LIMITS = {"nodes": 8, "watches": 4, "transactions": 2, "node-permissions": 3, "node-size": 120}
C_QUOTAS = ("-E", "8", "-W", "3", "-t", "1", "-A", "3", "-S", "129")
"""The same, by C's count: one watch and one transaction more than it says, and nine bytes less of a node."""
OURS = {"C with quotas": [f"--quota={name}={limit}" for name, limit in LIMITS.items()]}


@contextlib.contextmanager
def party_of(daemon):
    party = Party(daemon)
    try:
        yield party
    finally:
        party.close()


@contextlib.contextmanager
def stock_party(stock):
    _, start = STOCK[stock]
    with peers.short_directory() as directory, start(directory) as daemon, party_of(daemon) as party:
        yield party


def converse(stock, chance, count, malformed=False):
    """At least so many operations, from a seed; how often the stock daemon died of them."""
    peers.need(*STOCK[stock][0])
    done = number = died = 0
    with contextlib.ExitStack() as stack:
        here = stack.enter_context(peers.short_directory())
        options = ["--memory", "--simulated-xen", str(here), *OURS.get(stock, ())]
        daemon = stack.enter_context(peers.our_xenstored(here, *options))
        while done < count:
            anew(daemon)
            with stock_party(stock) as theirs, party_of(daemon) as ours:
                table = Table([theirs, ours])
                while done < count:
                    number += 1
                    talk = Talk(chance, number, malformed, lax=stock == "OCaml")
                    try:
                        done += len(talk_it_through(stock, table, talk))
                        table.clear(talk.place)
                    except EOFError:
                        died += 1
                        assert malformed, "the stock daemon ended"
                        assert daemon.process.poll() is None, "ours ended"
                        break
    return died


@pytest.mark.parametrize("seed", range(2))
def test_c_and_ours_say_the_same(seed):
    assert converse("C", random.Random(seed), 5000) == 0


def test_c_and_ours_have_the_same_quotas():
    assert converse("C with quotas", random.Random(3), 3000) == 0


def test_oxenstored_and_ours_say_the_same_but_for_the_table():
    assert converse("OCaml", random.Random(1), 4000) == 0


@pytest.mark.parametrize(("stock", "count"), [("C", 2000), ("OCaml", 1500)])
def test_what_is_malformed_is_refused_as_the_table_says_and_does_us_no_harm(stock, count):
    converse(stock, random.Random(2), count, malformed=True)


@pytest.mark.parametrize("row", ROWS)
def test_a_listed_difference_is_in_the_table(row):
    assert f"| {row}" in DOCUMENT
