"""What a merge of flat trees comes to, path by path, and what a base of two is. Naive on purpose.

Rule: written from docs/semantics.md (rule 7) and docs/policy.md (merge rules), and shares no code with
rrdstore.tree but the two marks that a base holds where nobody can say what it is. Cost: O(nodes) squared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rrdstore.testing.trees import Tree, below, names
from rrdstore.tree.merge import NOWHERE, UNKNOWN

Stamps: TypeAlias = dict[str, tuple[int, int]]
"""Of each path the numbers of the commits that made it and last set it."""
Rules: TypeAlias = Sequence[tuple[str, str]]
"""A pattern and the name of a rule, the first match wins."""

SYMMETRIC = {"conflict", "counter", "set", "last"}


@dataclass(frozen=True)
class Sides:
    """Three trees, when each place was set on two of them, and what settles what both changed."""

    base: Tree
    ours: Tree
    theirs: Tree
    our_stamps: Stamps
    their_stamps: Stamps
    rules: Rules

    def rule(self, path: str) -> str:
        """The name of the rule of a place."""
        return next((name for pattern, name in self.rules if means(pattern, path)), "conflict")

    def later(self, path: str) -> bool:
        """Whether theirs was set after ours."""
        return self.their_stamps[path][1] > self.our_stamps[path][1]


def means(pattern: str, path: str) -> bool:
    """Whether a pattern of '*' and '**' means a path."""
    written = "".join(
        "(/[^/]+)*" if name == "**" else "/" + "[^/]+".join(map(re.escape, name.split("*")))
        for name in pattern.strip("/").split("/")
    )
    return re.fullmatch(written, path.rstrip("/")) is not None


def pick(was: bytes | None, our: bytes, their: bytes) -> bytes | None:
    """The side that changed; None if both did, differently."""
    if their in (our, was):
        return our
    return their if our == was else None


def made(rule: str, was: bytes | None, our: bytes, their: bytes) -> bytes | None:
    """What a rule makes of two values; None where it leaves a conflict."""
    if rule == "counter":
        try:
            read = [int(value) for value in (was or b"0", our, their) if re.fullmatch(rb"[+-]?\d{1,4000}", value)]
            return str(read[1] + read[2] - read[0]).encode() if was != b"" else None
        except IndexError:
            return None
    if rule == "set":
        old, left, right = ({*(value or b"").split(b"\n")} - {b""} for value in (was, our, their))
        return b"\n".join(sorted((left & right) | (left - old) | (right - old)))
    return None


def merged(sides: Sides) -> tuple[Tree, set[str]]:
    """The three-way merge and its conflicts; at a conflict the tree has ours."""
    result: Tree = {}
    clashes: set[str] = set()

    def node(path: str) -> tuple[bytes, bytes] | None:
        """One place that both sides have."""
        was, our, their = sides.base.get(path), sides.ours[path], sides.theirs[path]
        rule, old = sides.rule(path), was or (None, None)
        value, meta = pick(old[0], our[0], their[0]), pick(old[1], our[1], their[1])
        both = old[0] not in (our[0], their[0])
        if rule in {"ours", "theirs", "last"}:
            winner = their if rule == "theirs" or (rule == "last" and sides.later(path)) else our
            value, meta = winner[0] if value is None else value, winner[1] if meta is None else meta
        elif old[0] != UNKNOWN and (value is None or (rule == "counter" and both)):
            found = made(rule, old[0], our[0], their[0])
            value = value if found is None else found
        return None if value is None or meta is None else (value, meta)

    def visit(path: str) -> None:
        was, our, their = (below(tree, path) for tree in (sides.base, sides.ours, sides.theirs))
        nowhere = path in was and was[path][0] == NOWHERE
        if our and their and not nowhere:
            found = node(path)
            result[path] = found or our[path]
            if found is None:
                clashes.add(path)
            for name in sorted({*names(sides.base, path), *names(sides.ours, path), *names(sides.theirs, path)}):
                visit(f"{path}/{name}" if path != "/" else f"/{name}")
        elif our == their or (their == was and not nowhere):
            result.update(our)
        elif (our == was and not nowhere) or sides.rule(path) == "theirs":
            result.update(their)
        else:
            result.update(our)
            if sides.rule(path) != "ours":
                clashes.add(path)

    visit("/")
    return result, clashes


def joined(sides: Sides) -> Tree:
    """The merge of two bases as a base: marked where they clash, the same whichever comes first."""
    rules = [(pattern, name if name in SYMMETRIC else "conflict") for pattern, name in sides.rules]
    base, one, other = sides.base, sides.ours, sides.theirs
    tree, clashes = merged(Sides(base, one, other, sides.our_stamps, sides.their_stamps, rules))
    for path in clashes:
        was = base.get(path)
        if path not in one or path not in other or (was is not None and was[0] == NOWHERE):
            for place in below(tree, path):
                del tree[place]
            tree[path] = (NOWHERE, b"")
        else:
            old = was or (None, None)
            parts = [pick(old[at], one[path][at], other[path][at]) for at in (0, 1)]
            tree[path] = (UNKNOWN if parts[0] is None else parts[0], UNKNOWN if parts[1] is None else parts[1])
    return tree
