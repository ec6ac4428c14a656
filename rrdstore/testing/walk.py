"""Long random histories, cheaper than hypothesis makes them: the rules of the machine, called by a random walk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from rrdstore.testing.calls import BRANCHES, KEEPS, LEASES, SOME_RULES

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from rrdstore.testing.machine import StoreMachine
    from rrdstore.testing.trees import Call


def path(random: Random) -> str:
    """A path of one to three names."""
    return "/" + "/".join(random.choices("abc", k=random.randint(1, 3)))


def setting(random: Random) -> Call:
    """A set."""
    value, meta = random.choice([b"", b"0", b"1", b"2"]), random.choice([None, None, b"", b"m"])
    return "set", path(random) if random.random() < 0.95 else "/", value, meta


def change(random: Random) -> Call:
    """A set or a removal."""
    return setting(random) if random.random() < 0.7 else ("remove", path(random))


def call(random: Random) -> Call:
    """A change or a look."""
    if random.random() < 0.5:
        return change(random)
    return random.choice(["get", "stat", "list", "in"]), path(random) if random.random() < 0.9 else "/"


def some(random: Random, least: int, most: int, make: Callable[[Random], Call]) -> list[Call]:
    """A few of what `make` makes."""
    return [make(random) for _ in range(random.randint(least, most))]


def gap(random: Random) -> float:
    """Seconds between two changes."""
    return random.choice([0, 0, 0.1, 0.5, 1.5, 7])


def _nothing(_: Random) -> dict[str, Any]:
    return {}


Steps: TypeAlias = "dict[str, tuple[int, Callable[[Random], dict[str, Any]]]]"

STEPS: Steps = {
    "set": (6, lambda r: {"edit": setting(r)}),
    "remove": (4, lambda r: {"edit": ("remove", path(r))}),
    "burst": (6, lambda r: {"edits": some(r, 2, 8, setting), "gap": gap(r)}),
    "widen": (1, lambda r: {"first": r.randint(0, 60), "many": r.randint(25, 45), "gone": r.random() < 0.5}),
    "start": (3, _nothing),
    "call": (6, lambda r: {"which": r.randrange(9), "steps": some(r, 1, 4, call)}),
    "end": (2, lambda r: {"which": r.randrange(9)}),
    "abort": (1, lambda r: {"which": r.randrange(9)}),
    "interleave": (8, lambda r: {"steps": [(r.random() < 0.5, call(r)) for _ in range(r.randint(2, 12))]}),
    "fork": (
        4,
        lambda r: {
            "origin": r.randrange(9),
            "name": r.choice(BRANCHES),
            "keep": r.choice([None, *KEEPS]),
            "lease": r.choice(LEASES),
        },
    ),
    "create_branch": (1, lambda r: {"name": r.choice(BRANCHES), "keep": r.choice(KEEPS)}),
    "delete_branch": (2, _nothing),
    "merge": (3, lambda r: {"into": r.randrange(9), "other": r.randrange(9)}),
    "merge_an_older_commit": (
        8,
        lambda r: {
            "into": r.randrange(9),
            "other": r.randrange(9),
            "which": r.randrange(999),
            "rules": r.choice(SOME_RULES),
        },
    ),
    "hand_on": (
        10,
        lambda r: {"into": r.randrange(9), "edit": setting(r), "own": r.random() < 0.5, "back": r.random() < 0.5},
    ),
    "patch": (3, lambda r: {"into": r.randrange(9), "other": r.randrange(9), "which": r.randrange(99)}),
    "merge_past_each_other": (
        6,
        lambda r: {
            "into": r.randrange(9),
            "which": r.randrange(9),
            "ours": some(r, 0, 2, change),
            "theirs": some(r, 0, 2, change),
        },
    ),
    "diverge_and_merge": (
        12,
        lambda r: {
            "into": r.randrange(9),
            "ours": some(r, 0, 3, change),
            "theirs": some(r, 0, 3, change),
            "gap": gap(r),
            "both": r.random() < 0.5,
        },
    ),
    "tag": (2, lambda r: {"which": r.randrange(99), "tag": r.choice("tuvw")}),
    "untag": (2, lambda r: {"tag": r.choice("tuvw")}),
    "pin": (2, lambda r: {"which": r.randrange(99)}),
    "unpin": (2, lambda r: {"which": r.randrange(99)}),
    "advance": (4, lambda r: {"seconds": r.choice([0.000001, 0.3, 1, 4, 11, 60])}),
    "jump": (1, lambda r: {"seconds": r.choice([-7200, -30, -1, 1, 30, 7200])}),
    "open_snapshot": (2, lambda r: {"which": r.randrange(99)}),
    "close_snapshot": (2, lambda r: {"which": r.randrange(9)}),
    "ask_for_a_moment": (4, lambda r: {"which": r.randrange(999), "shift": r.choice([-1, 0, 1, 700_000, -5_000_000])}),
    "ask_for_an_id": (4, lambda r: {"which": r.randrange(999), "wrong": r.randint(1, 0xFFFFFFFF)}),
    "ask_for_the_log": (3, lambda r: {"path": r.choice([None, "/", path(r)])}),
    "ask_for_a_difference": (2, lambda r: {"first": r.randrange(99), "second": r.randrange(99)}),
    "tune": (2, lambda r: {"keep": r.choice(KEEPS)}),
    "compact": (1, lambda r: {"keep": r.choice(KEEPS)}),
    "fill": (
        12,
        lambda r: {"path": path(r), "length": r.randint(1, 4), "fresh": r.randrange(256)},
    ),
    "tick": (2, _nothing),
    "tick_a_little": (4, lambda r: {"steps": r.randint(1, 3)}),
    "close_and_open": (1, _nothing),
    "crash": (2, _nothing),
    "fail_to_settle": (2, _nothing),
    "change_while_ticks_fail": (
        3,
        lambda r: {
            "which": r.randint(0, 8),
            "pick": r.randrange(99),
            "name": r.choice(BRANCHES),
            "tag": r.choice("tuvw"),
            "keep": r.choice(KEEPS),
        },
    ),
    "refuse_to_journal": (2, lambda r: {"which": r.randint(0, 9), "pick": r.randrange(99)}),
    "everything_reads_as_it_did": (1, _nothing),
}
"""Of each rule how often, and its arguments; `where` is a living branch unless said."""

ANYWHERE = {"set", "remove", "burst", "widen", "start", "interleave", "delete_branch", "open_snapshot",
            "tune", "compact", "fill", "ask_for_a_moment", "ask_for_the_log"}  # fmt: skip


NEEDS: dict[str, Callable[[StoreMachine], object]] = {
    "call": lambda machine: machine.transactions,
    "end": lambda machine: machine.transactions,
    "abort": lambda machine: machine.transactions,
    "close_snapshot": lambda machine: machine.snapshots,
    "unpin": lambda machine: machine.model.pins,
    "close_and_open": lambda machine: machine.home.reopens,
    "crash": lambda machine: machine.home.reopens,
    "fill": lambda machine: machine.home.presses,
    "fail_to_settle": lambda machine: machine.home.fails and not machine.home.presses,
    "change_while_ticks_fail": lambda machine: machine.home.fails,
    "refuse_to_journal": lambda machine: machine.home.fails,
}
"""Of some rules, when they can be called."""


def walk(machine: StoreMachine, random: Random, steps: int, also: Steps | None = None) -> None:
    """A history of so many steps, checked every few of them and at its end; `also` are those of a machine's own."""
    known = STEPS | (also or {})
    weights = [often for often, _ in known.values()]
    machine.create(keep=random.choice(KEEPS))
    for step in range(steps):
        name = random.choices([*known], weights)[0]
        if name in NEEDS and not NEEDS[name](machine):
            continue
        arguments = known[name][1](random)
        if name in ANYWHERE:
            arguments["where"] = random.randrange(9)
        getattr(machine, name)(**arguments)
        if step % 7 == 0:
            machine.kept_is_what_the_policies_say()
    machine.kept_is_what_the_policies_say()
    machine.teardown()
