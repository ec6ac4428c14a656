"""Random conversations of domain 0 and two guests: every reply and every set of events is that of the stock daemons.

Or it is in the table of docs/xenstore.md, of which `listed` names the row. C answers everything as ours does, but for
transactions during which others change something; oxenstored has its own mind about missing nodes, owners and events.
What is malformed goes to C alone: it may abort (then both begin again, and ours must have lived), and OCaml's daemon
hangs on an empty payload. bench/differential.py does this by the million.
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
SILENT = "nodes that go with their domain"
ROWS = (
    *(VIEW, SIBLING, MALFORMED, NO_NUMBER, SPECIAL, MISSING, OWNER, CHANGED, UNSEEN, NET),
    *(ENTRIES, UNKNOWN, AIMLESS, NAMELESS, NOBODY, SILENT),
)


def listed(stock, talk, step, theirs, ours):
    """The row of the table that has this difference; None if there is none."""
    guest = CLIENTS[step.who] != 0
    if step.overlapped:
        return SIBLING if step.operation == "TRANSACTION_END" else VIEW
    if stock == "C" and talk.died and step.operation == "GET_PERMS" and not step.broken:
        return ENTRIES
    if stock == "C":
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
        if stock == "C":
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
    if not talk.mixed or stock == "C":
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


STOCK = {"C": (peers.C_NEEDS, peers.c_xenstored), "OCaml": (peers.OX_NEEDS, peers.ox_xenstored)}


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
    with peers.short_directory() as here, peers.our_xenstored(here, "--memory", "--simulated-xen", str(here)) as daemon:
        while done < count:
            anew(daemon)
            with stock_party(stock) as theirs, party_of(daemon) as ours:
                table = Table([theirs, ours])
                while done < count:
                    number += 1
                    talk = Talk(chance, number, malformed)
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
    assert converse("C", random.Random(seed), 6000) == 0


def test_oxenstored_and_ours_say_the_same_but_for_the_table():
    assert converse("OCaml", random.Random(1), 5000) == 0


def test_what_is_malformed_is_refused_as_c_refuses_it_and_does_us_no_harm():
    converse("C", random.Random(2), 3000, malformed=True)


@pytest.mark.parametrize("row", ROWS)
def test_a_listed_difference_is_in_the_table(row):
    assert f"| {row}" in DOCUMENT
