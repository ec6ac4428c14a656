"""The table of kept commits, and the lines in which they share objects.

Rule: each stored commit names the one it was stored beside. Dropping one hands that on to the commit stored
beside it, so what is stored is always a forest in which sharing goes along edges only. A dropped commit
with two or more beside it (a fork point that nobody wants any more) stays for storage's sake, unseen, until
all but one of them are gone: there are fewer of these than line ends.
Cost: O(1) a commit.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from rrdstore.history.authors import greatest
from rrdstore.history.branch import NOBODY
from rrdstore.storage.layout import KEPT, KEPT_A_PAGE, KEPT_ROWS
from rrdstore.storage.names import Names
from rrdstore.storage.records import Dying, Kept, kept_rows, read_kept
from rrdstore.storage.replaced import FEW, Many, handed_on

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping, Sequence

    from rrdstore.history.commit import Record
    from rrdstore.storage.replaced import Replaced


_REMEMBERED = 4 << 20
"""Bytes of packed numbers of what commits replaced."""
_AT_ONCE = 64
"""Commits that are dropped, or of which rows are made, at once: some 0.3 ms."""


class KeptTable:
    """All stored commits by number. Changes are collected until `changing` is asked for the rows to be written.

    At most `links` rows may go to links that find no place in the rows that every commit has.
    """

    def __init__(self, rows: Sequence[bytes], links: int, names: Sequence[bytes]) -> None:
        self.names = Names(names)
        self.commits: dict[int, Kept] = {}
        self._beside: dict[int, tuple[int, ...]] = {}
        """What was stored beside each: tuples, as it is one nearly always."""
        self._touched: set[int] = set()
        self._emptied: set[int] = set()
        self._ghosts: set[int] = set()
        self._newest: dict[int, int] = {}
        self._many: list[Kept] = []
        """Those of which many objects came to be remembered, until it is known what of that goes with this tick."""
        taken: set[int] = set()
        for kept in read_kept(rows, self.names.name):
            self.commits[kept.record.number] = kept
            self._newest[kept.record.branch] = kept.record.number
            if kept.ghost:
                self._ghosts.add(kept.record.number)
            self._beside[kept.before] = (*self._beside.get(kept.before, ()), kept.record.number)
            taken.update(kept.rows)
        self._free = array("I", sorted(set(range(len(rows))) - taken, reverse=True))
        self._links = links - sum(max(0, len(kept.rows) - KEPT_ROWS) for kept in self.commits.values())

    def __len__(self) -> int:
        return len(self.commits)

    def records(self) -> tuple[Record, ...]:
        """Copies of the kept ones, by number: what the table has is what the file has, whatever becomes of these."""
        return tuple(kept.record.copied() for _, kept in sorted(self.commits.items()) if not kept.ghost)

    def newest(self, branch: int) -> Kept | None:
        """The last stored commit of a branch, by its id."""
        number = self._newest.get(branch)
        return None if number is None else self.commits[number]

    def before(
        self, record: Record, fresh: Collection[int], newest: Mapping[int, int], forks: Mapping[int, int]
    ) -> int:
        """What a new commit is to be stored beside, 0 for nothing: the one before it on its branch, or the fork point.

        A merge base that no branch has lies beside its first parent, or the newest commit before it. `fresh` are new
        too, `newest` has of each branch the last of them, `forks` its fork point.
        """
        if record.branch == NOBODY:
            number = record.parents[0].number
            if number in fresh or number in self.commits:
                return number
            return max((other for other in {*fresh, *self.commits} if other < record.number), default=0)
        if record.branch in newest:
            return newest[record.branch]
        stored = self.newest(record.branch)
        return stored.record.number if stored else forks.get(record.branch, 0)

    def add(self, record: Record, before: int, replaced: Replaced | None = None) -> None:
        """A commit stored beside `before` (0: nothing), its `root_number` and `top` known."""
        number = record.number
        kept = self.commits[number] = Kept(record, before, replaced)
        if isinstance(replaced, Many):
            self._many.append(kept)
        self._beside[before] = (*self._beside.get(before, ()), number)
        self._touched.add(number)
        self._newest[record.branch] = number

    def change(self, record: Record) -> None:
        """Other grafts, another count."""
        self.commits[record.number].record = record
        self._touched.add(record.number)

    def dropping(self, numbers: Iterable[int]) -> Generator[bool, None, list[Dying]]:
        """Drop these, and whatever stayed for storage only and need not any more; in the order to be freed in.

        Some at a time: until all are, the table is one from which only some have gone. Each step says False, as no tick
        is true by it.
        """
        going = self._ghosts.union(numbers)
        dying = []
        # What stands in a line first, oldest first: then each takes leave of its neighbour, and little is handed on.
        for at, number in enumerate(sorted(going), 1):
            after = self._beside.get(number, ())
            if len(after) == 1:
                going.discard(number)
                dying.append(self._taken_out(self.commits[number], after[0]))
            if not at % _AT_ONCE or (dying and isinstance(dying[-1].objects, Many)):
                yield False
        for at, number in enumerate(sorted(going, reverse=True), 1):
            kept = self.commits[number]
            after = self._beside.get(number, ())
            if len(after) <= 1:
                dying.append(self._taken_out(kept, after[0] if after else 0))
            elif not kept.ghost:
                kept.ghost = True
                self._ghosts.add(number)
                self._touched.add(number)
            if not at % _AT_ONCE:
                yield False
        yield from self._remembering_less()
        headless = {branch for branch, number in self._newest.items() if number not in self.commits}
        for branch in headless:
            del self._newest[branch]
        for number, kept in self.commits.items() if headless else ():
            branch = kept.record.branch
            if branch in headless:
                self._newest[branch] = max(number, self._newest.get(branch, 0))
        # Those that had nothing of their own need no walk.
        return [one for one in dying if one.root > one.floor and one.root != one.beside]

    def _remembering_less(self) -> Generator[bool, None, None]:
        """Pack what many came to be remembered of, and of what came last forget what has no room. O(commits) then."""
        for kept in self._many:
            if isinstance(kept.replaced, Many) and len(kept.replaced.loose) > FEW:
                kept.replaced = kept.replaced.tight()
                yield False
        if self._many:
            held = sum([kept.replaced.size for kept in self.commits.values() if isinstance(kept.replaced, Many)])
            while self._many and held > _REMEMBERED:
                kept = self._many.pop()
                if isinstance(kept.replaced, Many) and kept.record.number in self.commits:
                    held -= kept.replaced.size
                    kept.replaced = None
            self._many.clear()

    def _taken_out(self, kept: Kept, after: int) -> Dying:
        number, before = kept.record.number, kept.before
        del self.commits[number]
        self._beside.pop(number, None)
        self._touched.discard(number)
        self._ghosts.discard(number)
        self._emptied.update(kept.rows)
        self._links += max(0, len(kept.rows) - KEPT_ROWS)
        siblings = tuple([one for one in self._beside[before] if one != number])
        if after:
            self.commits[after].before = before
            siblings = (*siblings, after)
            self._touched.add(after)
        if siblings:
            self._beside[before] = siblings
        else:
            del self._beside[before]
        floor = self.commits[before].record.top if before else 0
        if not after:
            return Dying(kept.record.root_number, floor, 0)
        heir = self.commits[after]
        objects = heir.replaced
        if objects is not None:
            objects, heir.replaced = handed_on(objects, floor, kept.replaced)
            if isinstance(heir.replaced, Many):
                self._many.append(heir)
        return Dying(kept.record.root_number, floor, heir.record.root_number, objects)

    def beside(self, number: int) -> tuple[int, ...]:
        """What was stored beside a commit."""
        return self._beside.get(number, ())

    def changing(self) -> Generator[bool, None, dict[int, bytes]]:
        """The rows that changed since the table was read, or asked this, in steps that say False; LimitReached."""
        self._free.extend(sorted(self._emptied, reverse=True))
        rows = dict.fromkeys(self._emptied, bytes(KEPT))
        for at, number in enumerate(sorted(self._touched), 1):
            kept = self.commits[number]
            self._links += max(0, len(kept.rows) - KEPT_ROWS)
            written = kept_rows(kept, self._links, self._authors(kept.record))
            self._links -= max(0, len(written) - KEPT_ROWS)
            while len(kept.rows) < len(written):
                kept.rows += (self._free.pop(),)
            for row in kept.rows[len(written) :]:
                rows[row] = bytes(KEPT)
                self._free.append(row)
            kept.rows = kept.rows[: len(written)]
            rows.update(zip(kept.rows, written, strict=True))
            if not at % _AT_ONCE:
                yield False
        self._touched.clear()
        self._emptied.clear()
        return rows

    def _authors(self, record: Record) -> list[tuple[int, int]]:
        """Index and count of each author of a commit; one whose name finds no place becomes one of the others."""
        if record.authors is None:
            return []
        stored = (kept.record.authors for kept in self.commits.values())
        found = [(self.names.index(name, stored), name, count) for name, count in greatest(record.authors).items()]
        record.authors = {name: count for index, name, count in found if index}
        return [(index, count) for index, _, count in found if index]


def pages_of(rows: Iterable[int]) -> int:
    """How many pages these rows lie on, at most."""
    return 2 * len({row // KEPT_A_PAGE for row in rows})
