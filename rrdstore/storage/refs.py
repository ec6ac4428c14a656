"""Refs: which branches, tags and pins there are, followed through what the journal holds.

Rule: each entry goes on from what the ones before it have left. A commit stands on the head of its branch; what is
named is a commit that is there; a name or an id is given once. What does not fit so was not acknowledged after what
lies before it. Pure. Cost: O(1) an entry, O(picks) one that says what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rrdstore.storage.protocol import Begun, Ended, Entry, Fitted, Pinned, Problem, Tagged, Unpinned, Untagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rrdstore.history.commit import Key
    from rrdstore.storage.protocol import Acknowledged, BranchState

    Doubts = Iterator[tuple[str, str]]
    """What was found, and what was expected."""


_FIRST = 1
"""The branch that a store is made with, which is never deleted."""


@dataclass(slots=True)
class Refs:
    """Where a store stands, in numbers and names."""

    kept: dict[int, int]
    """The epochs of the commits that are there, by number."""
    last: int
    """The number of the last one made."""
    heads: dict[int, int] = field(default_factory=dict)
    """Of each living branch, by its id."""
    names: dict[int, str] = field(default_factory=dict)
    tags: dict[str, Key] = field(default_factory=dict)
    pins: set[int] = field(default_factory=set)

    @classmethod
    def of(
        cls, kept: Iterable[Key], last: int, branches: Iterable[BranchState], tags: dict[str, Key], pins: Iterable[int]
    ) -> Refs:
        """Those of a tick or a net."""
        living = [branch for branch in branches if branch.name]
        heads = {branch.id: branch.head for branch in living}
        return cls(dict(kept), last, heads, {branch.id: branch.name for branch in living}, dict(tags), set(pins))

    def doubt(self, entry: Acknowledged) -> Problem | None:
        """The first thing that speaks against an entry, if anything does."""
        for found, expected in self._doubts(entry):
            return Problem(f"the journal, {called(entry)}", found, expected)
        return None

    def _doubts(self, entry: Acknowledged) -> Doubts:
        match entry:
            case Entry():
                yield from self._commit(entry)
            case Begun():
                yield from self._begun(entry)
            case Ended(line) if line not in self.heads or line == _FIRST:
                yield f"branch {line}", "a branch that is there, and not the first"
            case Tagged(name, key):
                if name in self.tags:
                    yield "the name again", "each once"
                yield from self._there(*key)
            case Untagged(name) if name not in self.tags:
                yield "no such tag", "a tag that is there"
            case Pinned(number):
                if number in self.pins:
                    yield "the pin again", "each once"
                yield from self._there(number)
            case Unpinned(number) if number not in self.pins:
                yield "no such pin", "a pin that is there"
            case Fitted(fits):
                for fit in fits:
                    if fit.line not in self.heads:
                        yield f"branch {fit.line}", "a branch that is there"
                    for number in fit.picks:
                        yield from self._there(number)

    def _commit(self, entry: Entry) -> Doubts:
        first = entry.parents[0].number if entry.parents else 0
        if entry.number <= self.last:
            yield f"number {entry.number}", f"one above {self.last}"
        if entry.branch not in self.heads:
            yield f"branch {entry.branch}", "a branch that is there"
        elif self.heads[entry.branch] != first:
            yield f"made on commit {first}", f"on the head of its branch, {self.heads[entry.branch]}"
        for other in entry.parents:
            yield from self._there(*other)
        met = entry.meeting
        if met is not None:
            if met.fork not in self.heads:
                yield f"the base of branch {met.fork}", "a branch that is there"
            if met.crossing is not None and met.base != entry.number - 1:
                yield f"a base {met.base}", f"{entry.number - 1}"
            for number in (met.older, 0 if met.crossing is not None else met.base):
                yield from self._there(number) if number else ()

    def _begun(self, made: Begun) -> Doubts:
        if made.line in self.heads:
            yield f"branch {made.line} again", "each id once"
        if made.name in self.names.values():
            yield f"the name {made.name!r} again", "each once"
        first = made.first
        if first is not None and (first.number <= self.last or first.branch != made.line or first.parents):
            found = f"commit {first.number} of branch {first.branch} with {len(first.parents)} parents"
            yield found, f"one above {self.last}, the first of branch {made.line}"
        elif first is not None and (made.upstream or made.head):
            yield f"forked at {made.head} of branch {made.upstream}, and a first commit", "one of them"
        elif made.first is None and not made.upstream:
            yield from self._there(made.head)  # It merges with none.
        elif made.first is None and self.heads.get(made.upstream) != made.head:
            yield f"forked at {made.head} of branch {made.upstream}", "at the head of a branch that is there"

    def _there(self, number: int, epoch: int | None = None) -> Doubts:
        if self.kept.get(number, epoch) != epoch and epoch is not None:
            yield f"commit {number} of epoch {epoch}", f"{self.kept[number]}"
        elif number not in self.kept:
            yield f"commit {number}", "a commit that is there"

    def follow(self, entry: Acknowledged) -> None:
        """Go on past an entry that nothing speaks against."""
        match entry:
            case Entry():
                self._made(entry)
            case Begun():
                self.heads[entry.line], self.names[entry.line] = entry.head, entry.name
                if entry.first is not None:
                    self._made(entry.first)
            case Ended(line):
                del self.heads[line], self.names[line]
            case Tagged(name, key):
                self.tags[name] = key
            case Untagged(name):
                del self.tags[name]
            case Pinned(number):
                self.pins.add(number)
            case Unpinned(number):
                self.pins.discard(number)

    def _made(self, entry: Entry) -> None:
        self.heads[entry.branch] = self.last = entry.number
        self.kept[entry.number] = entry.epoch
        if entry.meeting is not None and entry.meeting.crossing is not None:
            self.kept[entry.meeting.base] = entry.epoch


def called(entry: Acknowledged) -> str:
    """What an entry is called where something is wrong with it."""
    match entry:
        case Entry():
            return f"commit {entry.number}"
        case Begun() | Ended():
            return f"branch {entry.line}"
        case Tagged() | Untagged():
            return f"tag {entry.name!r}"
        case Fitted(fits):
            return f"what is kept of branch {', '.join(str(fit.line) for fit in fits)}"
        case _:
            return f"pin of {entry.number}"
