"""The newest tree, looked up once a commit instead of once a request, and who must know when it moves.

Rule: whoever commits calls `moved` before anything reads again, and settles the accounts with what changed;
the daemon is the only writer of its branch, and all its commits are made in `view`, `transactions` and
`lives`. Measured: the look-up was 1.2 of a READ's 8.5 µs.
A WRITE changes the newest tree in place, so `tree` is for whoever is done with it before the next commit; who
compares with it afterwards asks for `still`, and the next WRITE copies a path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rrdstore
    from xsadapter.engine.accounts import Accounts
    from xsadapter.engine.index import Indexes
    from xsadapter.engine.touched import Journal
    from xsadapter.engine.turns import Turns
    from xsadapter.engine.watches import Watches


class Head:
    """The branch that clients see, its tree as of the last commit, and who and what must know of the next."""

    __slots__ = ("_number", "accounts", "branch", "indexes", "journal", "store", "tree", "turns", "watches")

    def __init__(
        self, store: rrdstore.Store, watches: Watches, accounts: Accounts, turns: Turns, indexes: Indexes
    ) -> None:
        self.store, self.branch, self.indexes = store, store.branch("main"), indexes
        self.watches, self.accounts, self.turns = watches, accounts, turns
        self.tree = self.branch.now
        self._number: int | None = None
        self.journal: Journal | None = None
        """Who is told of each change before it is made, so that a daemon that is started again knows of it."""

    def moved(self, commit: rrdstore.Commit | None = None) -> None:
        """The branch may have a new head, which is that commit if one is given. O(1)."""
        self.tree = self.branch.now
        self._number = None if commit is None else commit.number

    @property
    def number(self) -> int:
        """The number of the newest commit; to ask the branch would have it tell history of what it has put off."""
        if self._number is None:
            self._number = self.branch.head.number
        return self._number

    def still(self) -> rrdstore.Tree:
        """The newest tree, which no commit changes. O(1)."""
        return self.branch.tree

    def settle(self, before: rrdstore.Tree) -> None:
        """The branch has moved from `before` by a commit whose changes are not known one by one. O(changes)."""
        self.moved()
        self.accounts.changed(self.store.diff(before, self.tree))
