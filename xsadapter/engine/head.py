"""The newest tree, looked up once a commit instead of once a request, and who must know when it moves.

Rule: whoever commits calls `moved` before anything reads again, and settles the accounts with what changed;
the daemon is the only writer of its branch, and all its commits are made in `view`, `transactions` and
`lives`. Measured: the look-up was 1.2 of a READ's 8.5 µs.
A WRITE changes the newest tree in place, so `tree` is for whoever is done with it before the next commit; who
compares with it afterwards asks for `still`, and the next WRITE copies a path.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.engine import private
from xsadapter.engine.index import Indexes
from xsadapter.paths import LETTERS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from xsadapter.engine.accounts import Accounts
    from xsadapter.engine.index import Edit
    from xsadapter.engine.touched import Journal
    from xsadapter.engine.turns import Turns
    from xsadapter.engine.watches import Watches


_SPOTS: Final = 65536
"""160 bytes each, 10 MB of them all."""
_LONGEST: Final = 256
_MISSED: Final = 4 * _SPOTS
_SWEPT: Final = _SPOTS // 8
"""Of so many that there was no room for, those are looked for that are known no more."""
_AT_ONCE: Final = 50
"""Values whose places are changed in one commit, where all are too many."""


class Head:
    """The branch that clients see, its tree as of the last commit, and who and what must know of the next."""

    __slots__ = (
        "_missed",
        "_number",
        "accounts",
        "branch",
        "indexes",
        "journal",
        "listed",
        "spots",
        "store",
        "tree",
        "turns",
        "watches",
    )

    def __init__(
        self, store: rrdstore.Store, watches: Watches, accounts: Accounts, turns: Turns, indexes: Indexes
    ) -> None:
        self.store, self.branch, self.indexes = store, store.branch("main"), indexes
        self.watches, self.accounts, self.turns = watches, accounts, turns
        self.tree = self.branch.now
        self._number: int | None = None
        self._missed = 0
        self.spots: dict[bytes, rrdstore.Spot] = {}
        """Where nodes were found that were read or set, by the payload of a READ; each says if it is right no more."""
        self.listed: dict[bytes, tuple[bytes, bytes]] = {}
        """Names and generation of directories of which parts were asked for, by the path as it was said; as above."""
        self.journal: Journal | None = None
        """Who is told of each change before it is made, so that a daemon that is started again knows of it."""

    def moved(self, commit: rrdstore.Commit | None = None) -> None:
        """The branch may have a new head, which is that commit if one is given. O(1)."""
        self.tree = self.branch.now
        self._number = None if commit is None else commit.number
        if self.listed:
            self.listed.clear()

    def replaced(self, number: int) -> None:
        """The same after `Branch.set_at`, whose commit has that number: all spots are where they were."""
        self.tree = self.branch.now
        self._number = number

    def made(self, number: int) -> None:
        """The same after `Branch.make`."""
        self.tree = self.branch.now
        self._number = number
        if self.listed:
            self.listed.clear()

    def find(self, payload: bytes) -> rrdstore.Node | None:
        """The node whose absolute path, NUL and all, a payload is; None if it is not there, or if the payload is more.

        O(depth), and a look-up if the same was asked for lately and no node has come or gone since.
        """
        spot = self.spots.get(payload)
        node = None if spot is None else spot.node
        if node is not None or payload[:1] != b"/" or payload[-1:] != b"\0" or len(payload) > _LONGEST:
            return node
        path = payload[1:-1]
        if path.translate(None, LETTERS):
            return None
        # Empty names are not there: what else there is to a path's spelling need not be looked at.
        names = tuple(path.decode("ascii").split("/"))
        spot = self.spot(payload, names)
        return self.tree.reach(names) if spot is None else spot.node

    def spot(self, payload: bytes, names: tuple[str, ...]) -> rrdstore.Spot | None:
        """Where a node is, of the payload of a READ and the components of its path; remembered as `find` does."""
        spot = self.branch.spot(names)
        if spot is None or len(payload) > _LONGEST or payload[1:-1].translate(None, LETTERS):
            return spot
        if len(self.spots) < _SPOTS or payload in self.spots:
            self.spots[payload] = spot
        else:
            # Those that are known stay, as more are asked for than there is room for, but not for ever.
            self._missed += 1
            if self._missed > _MISSED:
                self._missed = 0
                self.spots.clear()
            elif not self._missed % _SWEPT:
                for known in [known for known, one in self.spots.items() if one.node is None]:
                    del self.spots[known]
        return spot

    @property
    def number(self) -> int:
        """The number of the newest commit; to ask the branch would have it tell history of what it has put off."""
        if self._number is None:
            self._number = self.branch.head.number
        return self._number

    def still(self) -> rrdstore.Tree:
        """The newest tree, which no commit changes. O(1)."""
        return self.branch.tree

    def mend(self, author: str) -> str:
        """Make the indexes what they have to be, in one commit, or in several if it is too large for one; StoreError.

        If there is no room for them there are none from now on, and that is told.
        """
        without, message = "", "START of the indexes"
        try:
            with suppress(rrdstore.TooLarge):
                with self.branch.transaction(message=message, author=author) as change:
                    self.indexes.mend(change)
                self.moved()
                return ""
            done = False
            while not done:
                with self.branch.transaction(message=message, author=author) as change:
                    if private.INDEXED in change.tree:
                        change.remove(private.INDEXED)
                    done = self.indexes.mend(change, _AT_ONCE)
        except (rrdstore.StoreFull, rrdstore.LimitReached, rrdstore.TooLarge) as error:
            without = f"nobody is found at /@index until the daemon is started again: {error}"
            self.indexes = Indexes(())
            with self.branch.transaction(message="START without indexes", author=author) as change:
                for place in (private.INDEXED, private.INDEX):
                    if place in change.tree:
                        change.remove(place)
        self.moved()
        return without

    def settle(
        self,
        before: rrdstore.Tree,
        commit: rrdstore.Commit | None = None,
        edits: Iterable[Edit] = (),
        made: Container[str] = (),
    ) -> None:
        """The branch has moved from `before`, by a commit of these edits, which `made` these places, if that is known.

        O(edits); O(what differs) where they are not known, or something was removed.
        """
        self.moved(commit)
        if commit is None or not self.accounts.edited(before, edits, made):
            self.accounts.changed(self.store.diff(before, self.tree))
