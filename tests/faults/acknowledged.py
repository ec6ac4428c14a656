"""What a client was told is done, as values: the oracle of kills, I/O errors and power cuts.

Rule: the client says what it is about to do, does it, and says that it is done, or refused. So whoever reads what it
said knows every state that the store may be in after it was killed: the last that was acknowledged, or that with the
one thing done that was under way. After a power cut it may be any since the last that was certain, and nothing else.
Branches but main write below their own name only, so what a merge gives is known without merging. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

Content = dict[str, bytes]
Step = list[Any]
"""A verb and what it is done to; JSON."""

CERTAIN = {"tick"}
"""What is on the disk when it is acknowledged, and all before it."""
LARGE = 18_000
"""A value of so many bytes goes past the journal, to the disk."""


class Branch(NamedTuple):
    """A branch as it is acknowledged."""

    number: int
    content: Content
    keep: str


@dataclass(frozen=True, slots=True)
class State:
    """A store as it is acknowledged; `number` is the last given out."""

    branches: dict[str, Branch]
    tags: dict[str, int] = field(default_factory=dict)
    pins: frozenset[int] = frozenset()
    number: int = 1

    def differs(self, other: State) -> str:
        """In what, in words; empty if it does not."""
        said = []
        for name in sorted(self.branches.keys() | other.branches.keys()):
            ours, theirs = self.branches.get(name), other.branches.get(name)
            if ours != theirs:
                at = [f"{one.number} ({one.keep})" if one else "nothing" for one in (ours, theirs)]
                both = (ours.content if ours else {}), (theirs.content if theirs else {})
                paths = [path for path in {**both[0], **both[1]} if both[0].get(path) != both[1].get(path)]
                said.append(f"branch {name} {at[0]} and {at[1]}, {len(paths)} paths {sorted(paths)[:3]}")
        for what in ("tags", "pins", "number"):
            one, two = getattr(self, what), getattr(other, what)
            said += [f"{what} {one} and {two}"] if one != two else []
        return "; ".join(said)


def value(text: str, padding: int) -> bytes:
    """A value of any length in few words."""
    return text.encode() + b"." * padding


def after(state: State, step: Step, number: int) -> State:
    """The state when a step has been done, in which `number` is that of the head then."""
    verb, *rest = step
    branches = dict(state.branches)
    number_now = max(state.number, number)
    if verb in {"set", "edit", "remove", "merge", "plant"}:
        was = branches[rest[0]]
        if number == was.number:
            return state
        branches[rest[0]] = was._replace(number=number, content=_changed(state, verb, rest))
        return replace(state, branches=branches, number=number_now)
    if verb == "begin":
        branches[rest[0]] = Branch(number, {}, rest[1])
        return replace(state, branches=branches, number=number_now)
    if verb == "fork":
        name, keep = rest
        branches[name] = branches["main"]._replace(keep=keep)
        return replace(state, branches=branches)
    if verb == "delete":
        del branches[rest[0]]
        return replace(state, branches=branches)
    if verb == "tune":
        branches[rest[0]] = branches[rest[0]]._replace(keep=rest[1])
        return replace(state, branches=branches)
    if verb == "tag":
        return replace(state, tags={**state.tags, rest[0]: branches[rest[1]].number})
    if verb == "untag":
        return replace(state, tags={name: at for name, at in state.tags.items() if name != rest[0]})
    if verb == "pin":
        return replace(state, pins=state.pins | {branches[rest[0]].number})
    if verb == "unpin":
        return replace(state, pins=state.pins - {rest[0]})
    return state


def _changed(state: State, verb: str, rest: Step) -> Content:
    content = dict(state.branches[rest[0]].content)
    if verb == "merge":
        into, other = rest
        theirs = state.branches[other].content
        if other != "main":
            mine = {path: data for path, data in content.items() if not path.startswith(f"/{other}/")}
            return mine | {path: data for path, data in theirs.items() if path.startswith(f"/{other}/")}
        mine = {path: data for path, data in content.items() if path.startswith(f"/{into}/")}
        return mine | {path: data for path, data in theirs.items() if not path.startswith(f"/{into}/")}
    for path, text, padding in (
        rest[1] if verb in {"edit", "plant"} else [[*rest[1:], "", 0][:3] if verb == "remove" else rest[1:]]
    ):
        if text:
            content[path] = value(text, padding)
        else:
            del content[path]
    return content


def certain(step: Step, *, held: bool = False) -> bool:
    """Whether a step that is acknowledged has brought everything to the disk.

    Where another process may have `held` the store, what goes past the journal may be in a net there.
    """
    return step[0] in CERTAIN or (not held and step[0] == "set" and step[4] >= LARGE)


@dataclass(slots=True)
class Said:
    """What a client said, line by line, from a state on."""

    states: list[State]
    """All that were acknowledged, in order; the first is where it began."""
    sure: int = 0
    """Which of them is on the disk for certain."""
    under_way: Step | None = None
    refused: dict[str, int] = field(default_factory=dict)
    """How often each error came."""
    wrong: str = ""
    """What it ended with, if that was no error of the store's."""
    done: int = 0
    held: bool = False
    """Whether another process may have held the store meanwhile."""

    def hear(self, text: bytes) -> None:
        """Some whole lines, and perhaps a part of one, which was not said then."""
        for line in text.split(b"\n")[:-1]:
            kind, what = json.loads(line)
            if kind == "begin":
                self.under_way = what
            elif kind == "wrong":
                self.wrong = what
            elif kind == "refused":
                self.refused[what] = self.refused.get(what, 0) + 1
                self.under_way = None
            elif self.under_way is not None:
                self.states.append(after(self.states[-1], self.under_way, what))
                self.done += 1
                if certain(self.under_way, held=self.held):
                    self.sure = len(self.states) - 1
                self.under_way = None

    def possible(self, *, power_cut: bool) -> list[State]:
        """What the store may be now."""
        last = self.states[-1]
        found = self.states[self.sure :] if power_cut else [last]
        if self.under_way is not None:
            number = last.number + 1 if self.under_way[0] in {"set", "edit", "remove", "merge", "plant", "begin"} else 0
            found = [*found, after(last, self.under_way, number)]
        return found
