"""The client that is killed: it does things to a store at random, and says in a file what was acknowledged.

Rule: a line before, a line after, each one write, so what it said is there whatever becomes of it. An error of the
store is a refusal, after which everything must be as it was; whatever else is raised is a fault, and is said.
"""

from __future__ import annotations

import json
import os
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import rrdstore
from rrdstore.store import planting
from tests.faults.acknowledged import LARGE, State, Step, after, value

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from rrdstore import Store

FORKS = ("a", "b", "c")
MAIN_KEEPS = ("last:40 *:8", "last:12 1s:10s *:6", "last:30 2s:12s")
FORK_KEEPS = ("last:6", "last:3 *:4")
USUAL = {
    "set": 60, "edit": 10, "remove": 8, "large": 2, "fork": 2, "begin": 0.5, "delete": 1.5, "merge": 3, "tag": 1.5,
    "untag": 1, "pin": 1, "unpin": 1, "tune": 1, "tick": 4, "slice": 8, "compact": 0.6, "plant": 4,
}  # fmt: skip
MOODS = {
    "all": USUAL,
    "planting": {"set": 20, "plant": 30, "remove": 20, "slice": 20, "tick": 4, "fork": 2, "delete": 2},
    "cleaning": {"set": 30, "large": 25, "remove": 6, "tick": 12, "slice": 12, "compact": 4},
    "tuning": {"set": 30, "tune": 12, "tick": 3, "slice": 6, "compact": 3},
    "refs": {
        "set": 24,
        "fork": 8,
        "begin": 3,
        "delete": 8,
        "tag": 10,
        "untag": 8,
        "pin": 8,
        "unpin": 6,
        "merge": 4,
        "slice": 10,
        "tick": 2,
        "edit": 3,
    },
    "deleting": {"set": 20, "fork": 12, "delete": 12, "tag": 3, "untag": 3, "merge": 4, "slice": 4, "tick": 2},
}
ATTEMPTS = 40
"""To open it, where opening may be refused."""


class Client:
    """One life of it."""

    def __init__(self, path: str, said: Path, state: State, random: Random, sync: str = "tick") -> None:
        self._path, self._state, self._random, self._sync = path, state, random, sync
        self._said = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._store: Store | None = None

    def live(self, mood: str, steps: int) -> None:
        """So many steps, unless it is killed before; whatever happens is said."""
        planting.FEW = 0  # What is planted goes apart, however little it is.
        try:
            for _ in range(steps):
                if not self._opened():
                    return
                step = self._step(MOODS[mood])
                if step is not None:
                    self._do(step)
            with suppress(rrdstore.Unwritable, rrdstore.Held):  # What is journalled stays so.
                if self._store is not None:
                    self._store.close()
        except BaseException:  # noqa: BLE001 - that is what this is to find
            self._say("wrong", traceback.format_exc())

    def _opened(self) -> bool:
        for _ in range(ATTEMPTS):
            if self._store is not None and not self._store.ledger.closed:
                return True
            try:
                self._store = rrdstore.open(self._path, sync=self._sync)
            except (rrdstore.Unwritable, rrdstore.Held) as fault:
                self._say("refused", f"open: {type(fault).__name__}")
        return False

    def _say(self, kind: str, what: Any) -> None:
        os.write(self._said, json.dumps([kind, what]).encode() + b"\n")

    def _do(self, step: Step) -> None:
        assert self._store is not None
        self._say("begin", step)
        try:
            number = self._done(self._store, step)
        except rrdstore.Corrupt:
            raise
        except rrdstore.StoreError as fault:
            self._say("refused", f"{step[0]}: {type(fault).__name__}")
        else:
            self._say("done", number)
            self._state = after(self._state, step, number)

    def _done(self, store: Store, step: Step) -> int:
        verb, *rest = step
        if verb == "set":
            return store.branch(rest[0]).set(rest[1], value(*rest[2:])).number
        if verb == "remove":
            return store.branch(rest[0]).remove(rest[1]).number
        if verb == "edit":
            with store.branch(rest[0]).transaction() as tx:
                for path, text, padding in rest[1]:
                    if text:
                        tx.set(path, value(text, padding))
                    else:
                        tx.remove(path)
            return store.branch(rest[0]).head.number
        if verb == "merge":
            return store.branch(rest[0]).merge(rest[1]).number
        if verb == "plant":
            places = [(path, value(text, padding), b"") for path, text, padding in rest[1]]
            return store.branch(rest[0]).plant(places, later=rest[2]).number
        if verb == "begin":
            return store.branch(rest[0], create=True, keep=rest[1]).head.number
        if verb == "unpin":
            store.unpin(str(rest[0]))
        elif verb == "slice":
            store.tick(rest[0])
        elif verb == "tag":
            store.tag(rest[0], store.branch(rest[1]).head)
        elif verb == "pin":
            store.pin(store.branch(rest[0]).head)
        elif verb == "fork":
            store.branch("main").fork(*rest)
        else:
            {"delete": store.delete_branch, "untag": store.untag, "tune": store.tune, "tick": store.tick,
             "compact": store.compact}[verb](*rest)  # fmt: skip
        return 0

    def _step(self, weights: dict[str, float]) -> Step | None:
        """What to do next, if what was drawn can be done."""
        random, state = self._random, self._state
        verb = random.choices(list(weights), list(weights.values()))[0]
        branch = random.choice(sorted(state.branches)) if random.random() < 0.5 else "main"
        forks = sorted(state.branches.keys() - {"main"})
        own = "m" if branch == "main" else branch
        path, text = f"/{own}/k{random.randrange(24)}", f"{state.number + 1}:{random.randrange(1000)}"
        mine = sorted(path for path in state.branches[branch].content if path.startswith(f"/{own}/"))
        if verb == "set":
            return ["set", branch, path, text, random.choice((0, 10, 100, 3000))]
        if verb == "large":
            return ["set", branch, path, text, random.randrange(LARGE, LARGE + 4000)]
        if verb == "edit":
            paths = random.sample(range(24), random.randrange(1, 9))
            return ["edit", branch, [[f"/{own}/k{at}", f"{text}:{at}", random.choice((0, 300))] for at in paths]]
        if verb == "plant":
            free = sorted({f"/{own}/p{at}/below" for at in range(40)}.difference(mine))
            some = random.sample(free, min(len(free), random.randrange(2, 12)))
            places = [[path, text, random.choice((0, 40, 2000))] for path in some]
            return ["plant", branch, places, random.random() < 0.8] if some else None
        if verb == "remove":
            return ["remove", branch, random.choice(mine)] if mine else None
        if verb in {"fork", "begin"}:
            free = sorted(set(FORKS) - state.branches.keys())
            return [verb, random.choice(free), random.choice(FORK_KEEPS)] if free else None
        if verb == "delete":
            return ["delete", random.choice(forks)] if forks else None
        if verb == "merge":
            if not forks:
                return None
            pair = ["main", random.choice(forks)]
            return ["merge", *random.sample(pair, 2)]
        if verb == "tune":
            others = {*(MAIN_KEEPS if branch == "main" else FORK_KEEPS)} - {state.branches[branch].keep}
            return ["tune", branch, random.choice(sorted(others))]
        return self._named(verb, branch)

    def _named(self, verb: str, branch: str) -> Step | None:
        random, state = self._random, self._state
        if verb == "tag":
            free = sorted({f"t{at}" for at in range(4)} - state.tags.keys())
            return ["tag", random.choice(free), branch] if free else None
        if verb == "untag":
            return ["untag", random.choice(sorted(state.tags))] if state.tags else None
        if verb == "pin":
            unpinned = state.branches[branch].number not in state.pins and len(state.pins) < 4
            return ["pin", branch] if unpinned else None
        if verb == "unpin":
            return ["unpin", random.choice(sorted(state.pins))] if state.pins else None
        if verb == "compact":
            return ["compact", branch, random.choice(FORK_KEEPS)]
        return ["slice", random.choice((0.0, 0.0005, 0.002))] if verb == "slice" else [verb]
