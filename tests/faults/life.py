"""A store with a past, and what each of its commits must read: the oracle is a dict, filled as commits are made."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import rrdstore
from rrdstore.testing import ManualClock

if TYPE_CHECKING:
    from rrdstore import Commit, Repaired, Store

ENDS = ("", "-wal", "-ring")
SIZE = 1 << 20
POLICY = "last:20 *:8"

Content = dict[str, bytes]


class Life:
    """The store `path`, as a kill left it, in `ends`; `truth` by commit number."""

    def __init__(self, path: str, seed: int = 1, commits: int = 90) -> None:
        self.path, self.truth = path, dict[int, Content]()
        random = Random(seed)
        self.clock = ManualClock()
        store = rrdstore.create(path + ".live", SIZE, POLICY, clock=self.clock, sync="none")
        main = store.branch("main")
        self._note(store, main.head)
        work = main
        for step in range(commits):
            self.clock.advance(random.choice((0.1, 1, 60)))
            value = b"v%d" % step + b"." * random.choice((3, 30, 400))
            self._note(store, main.set(f"/a{step % 7}/k{random.randrange(40)}", value))
            if step == commits // 2:
                work = main.fork("work")
                store.tag("half", main.head)
                store.pin(main.head)
            elif step > commits // 2 and step % 3 == 0:
                self._note(store, work.set(f"/w/{step % 9}", b"w%d" % step))
            if step in {commits * 5 // 6, commits - 12, commits - 8}:
                store.tick()
        self.last = {name: branch.head.number for name, branch in store.branches.items()}
        self.ends = [end for end in ENDS if Path(path + ".live" + end).exists()]
        for end in self.ends:
            shutil.copyfile(path + ".live" + end, path + ".saved" + end)
        store.close()
        self.restore()

    def _note(self, store: Store, commit: Commit) -> None:
        self.truth[commit.number] = content(store, commit)

    def restore(self) -> None:
        """The files as the kill left them."""
        for end in ("-shm", *ENDS):
            Path(self.path + end).unlink(missing_ok=True)
        for file in Path(self.path).parent.glob(Path(self.path).name + "-damaged*"):
            file.unlink()
        for end in self.ends:
            shutil.copyfile(self.path + ".saved" + end, self.path + end)

    def flip(self, end: str, at: int, bit: int) -> None:
        """One bit of one file, the other way round."""
        with Path(self.path + end).open("r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << bit]))

    def size(self, end: str) -> int:
        """Bytes of one of the files."""
        return Path(self.path + ".saved" + end).stat().st_size

    def compare(self, store: Store, lost: tuple[str, ...] = ()) -> None:
        """All commits of all branches against the truth; `lost` are places that may be missing."""
        for branch in store.branches.values():
            for commit in branch.log():
                found, truth = content(store, commit), self.truth[commit.number]
                missing = {path for path in truth.keys() - found.keys() if not path.startswith(lost)} if lost else set()
                assert not missing
                if not lost:
                    assert found == truth, (branch.name, commit.number)
                assert all(truth.get(path) == value for path, value in found.items()), (branch.name, commit.number)

    def repaired(self, *, holes: bool = False) -> Repaired:
        """Repair it, and see that it is clean, no larger, and holds nothing but what was true."""
        made = rrdstore.repair(self.path, holes=holes, clock=self.clock)
        lost = tuple(one.name.partition("/*")[0] for one in made.lost if one.what == "place")
        with rrdstore.open(self.path, clock=self.clock) as store:
            self.compare(store, lost)
            assert store.check() == []
            assert store.branch("main").head.number > 0
            # What is not said to be lost is there.
            said = {one.name for one in made.lost if one.what in {"head", "branch"}}
            if any(one.what == "journal" for one in made.lost):
                said |= self.last.keys()
            names = {one.name for one in made.lost}
            for name, number in self.last.items():
                gone = any(text.startswith(f"{number}-") for text in names)
                assert name in said or gone or store.branch(name).head.number == number
            store.branch("main").set("/after", b"repair")
            assert store.info().used <= SIZE
        return made


def content(store: Store, commit: Commit) -> Content:
    """All of a commit's tree."""
    return {path: node.value for path, node in store.tree(commit).descend()}
