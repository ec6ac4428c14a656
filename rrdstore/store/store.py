"""The store as the user sees it: branches, tags and pins, reports; all else is asked of a branch or a snapshot.

One thread writes; snapshots may be read from any.
"""

from __future__ import annotations

import warnings
from types import MappingProxyType
from typing import TYPE_CHECKING

from rrdstore.errors import PolicyDiffers, ReadOnly
from rrdstore.storage.protocol import Ended, Pinned, Tagged, Unpinned, Untagged
from rrdstore.store import consolidation, reports
from rrdstore.store.branch import Branch
from rrdstore.store.commit import Commit
from rrdstore.store.compaction import compact
from rrdstore.store.config import MAIN, Config
from rrdstore.store.ledger import Ledger
from rrdstore.store.limits import check_free, check_limit, check_name, check_there
from rrdstore.store.snapshot import Snapshot
from rrdstore.store.tuning import Tuned, differing, foreseen_here, tune
from rrdstore.tree.diff import Change, diff
from rrdstore.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from types import TracebackType

    from rrdstore.history.clock import Clock
    from rrdstore.policy import Forecast
    from rrdstore.series import Series
    from rrdstore.storage.protocol import Problem, Progress, Storage
    from rrdstore.store.holding import HeldBy

    Where = Commit | Snapshot | Tree | str


class Store:
    """A tree with bounded history: branches, commits, tags. Made by `create`, `open`, `memory`; a context manager."""

    def __init__(self, ledger: Ledger, config: Config | None = None) -> None:
        self.ledger = ledger
        """The engine's inside, shared with branches, transactions and snapshots."""
        ledger.config = config or Config()
        for branch, stored, wanted in differing(ledger):
            warnings.warn(PolicyDiffers(branch, stored, wanted), stacklevel=3)

    @classmethod
    def begin(cls, storage: Storage, clock: Clock, path: str, keep: str, config: Config | None = None) -> Store:
        """A new store on an empty storage: a branch main with one commit of the empty tree."""
        ledger = Ledger(storage, clock, path)
        ledger.branching.begin(MAIN, keep, None, "store created")
        store = cls(ledger)
        ledger.config = config or Config()
        return store

    @property
    def path(self) -> str:
        """Where it is kept."""
        return self.ledger.path

    @property
    def uuid(self) -> bytes:
        """16 random bytes that tell it from all other stores."""
        return self.ledger.uuid

    @property
    def recovered(self) -> tuple[tuple[Commit, bytes], ...]:
        """What the journal held at opening, after a crash: each commit with the opaque part its maker gave."""
        return tuple((Commit(self.ledger, record), opaque) for record, opaque in self.ledger.recovered)

    def close(self) -> None:
        """Store everything and let go of the file; what a tick cannot store stays journalled. Closing twice is fine."""
        self.ledger.close()

    @property
    def closed(self) -> bool:
        """Whether it is: by `close`, or because the disk refused a change and its taking back."""
        return self.ledger.closed

    @property
    def held(self) -> HeldBy | None:
        """What keeps it from being written back, if something does. O(1)."""
        return self.ledger.holding.now

    def abandon(self) -> None:
        """Let go of the file with nothing stored, as a kill would: the next opening has what the journal had."""
        self.ledger.abandon()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def config(self) -> Config:
        """What the program that opened it asks for; what branches have is in `info` and `Branch.keep`."""
        return self.ledger.config

    # Branches

    @property
    def branches(self) -> Mapping[str, Branch]:
        """All branches by name."""
        self.ledger.check_open()
        names = self.ledger.history.names
        return MappingProxyType({name: Branch(self.ledger, line) for name, line in sorted(names.items())})

    def branch(self, name: str, *, create: bool = False, keep: str | None = None) -> Branch:
        """The branch of that name; NotFound unless it exists or `create` makes it, empty, with the policy `keep`."""
        ledger = self.ledger
        ledger.check_open()
        if create and name not in ledger.history.names:
            ledger.branching.begin(name, keep, None, f"branch {name} created")
        return Branch(ledger, ledger.history.line(name))

    def delete_branch(self, name: str) -> None:
        """Delete a branch and those of its commits that nothing else keeps; NotFound, and main cannot be deleted.

        What they alone had is freed by the ticks that follow, in slices. Held. O(commits of the branch).
        """
        self.ledger.check_writable()
        line = self.ledger.history.line(name)
        if name == MAIN:
            raise ReadOnly(f"the name of branch {MAIN!r}")
        self.ledger.change(Ended(line.id))
        self.ledger.watches.pop(line.id, None)

    # Trees

    def tree(self, where: Where) -> Tree:
        """The tree of a commit, a snapshot, or whatever `at` of main takes; Thinned, NotFound."""
        if isinstance(where, Tree):
            return where
        if isinstance(where, Snapshot):
            return where.tree
        if isinstance(where, Commit):
            return self.ledger.tree(self.ledger.kept(where.id))
        return self.ledger.tree(self.ledger.find(self.ledger.history.line(MAIN), where).record)

    def diff(self, a: Where, b: Where, path: str = "/") -> Iterator[Change]:
        """What is different in `b` from `a`, at and below `path`, parents first. O(changes).

        A tree or a snapshot may be another store's: O(nodes) then, less what both have hashed.
        """
        old, new = self.tree(a), self.tree(b)
        changes = diff(old.get(path), new.get(path), foreign=old.source is not new.source)
        if path == "/":
            return changes
        return (Change((path + change.path).rstrip("/"), change.old, change.new) for change in changes)

    # Tags and pins

    @property
    def tags(self) -> Mapping[str, Commit]:
        """All tags by name."""
        self.ledger.check_open()
        history = self.ledger.history
        tags = sorted(history.tags.items())
        return MappingProxyType({name: Commit(self.ledger, history.graph.records[key.number]) for name, key in tags})

    @property
    def pins(self) -> frozenset[str]:
        """The ids of all pinned commits."""
        self.ledger.check_open()
        history = self.ledger.history
        return frozenset(self.ledger.id(history.graph.records[number]) for number in history.pins)

    def tag(self, name: str, commit: Commit | str) -> None:
        """Name a commit, which keeps it; Exists, NotFound, Thinned, LimitReached, Held. O(1)."""
        ledger = self.ledger
        ledger.check_writable()
        check_name("tag", name)
        record = ledger.kept(_name(commit))
        check_limit("tags", len(ledger.history.tags), ledger.storage.max_tags)
        check_free("tag", name, ledger.history.tags)
        ledger.change(Tagged(name, record.key))

    def untag(self, name: str) -> None:
        """Forget a name; its commit is left to the tiers. NotFound, Held. O(1)."""
        self.ledger.check_writable()
        check_there("tag", name, self.ledger.history.tags)
        self.ledger.change(Untagged(name))

    def pin(self, commit: Commit | str) -> None:
        """Keep a commit whatever the policy says, once; NotFound, Thinned, LimitReached, Held. O(1)."""
        ledger = self.ledger
        ledger.check_writable()
        record = ledger.kept(_name(commit))
        if record.number in ledger.history.pins:
            return
        check_limit("pins", len(ledger.history.pins), ledger.storage.max_pins)
        ledger.change(Pinned(record.number))

    def unpin(self, commit: Commit | str) -> None:
        """Leave a pinned commit to the tiers again; NotFound, Held. O(1)."""
        ledger = self.ledger
        ledger.check_writable()
        number = ledger.kept(_name(commit)).number
        check_there("pin", number, ledger.history.pins)
        ledger.change(Unpinned(number))

    # Ticks

    @property
    def unstored(self) -> int:
        """How many kept commits, and changes of branches, tags and pins, only the journal holds; 0 in memory."""
        return self.ledger.unstored

    @property
    def leases(self) -> tuple[int, int]:
        """How many commits open snapshots and transactions stand on, and how many may be stood on. O(ended)."""
        return self.ledger.leases.taken

    def tick(self, seconds: float | None = None) -> bool:
        """Bring what is kept now to disk, nothing if nothing is new; Held if another process is in the way.

        With `seconds` (0.002, say) this does as much of it as fits, and says whether it is done; call it again until
        it is. One step at least is done, of about a millisecond; the step that ends the tick waits for the disk.
        Commits may be made in between: they are journalled as ever, and stored by the next tick. It is done when
        all is stored that was kept when it began, and what that left to be freed is free.
        """
        self.ledger.check_writable()
        return self.ledger.tick(seconds)

    def compact(self, branch: Branch | str | None = None, keep: str | None = None) -> tuple[str, ...]:
        """Do what `plan` says now: drop what it drops; the ids of what went, oldest first.

        Of one branch, or of all. With `keep` this policy is applied once, as restic's forget and borg's prune
        do, and the branch goes on with its own. Done again at once it drops nothing. It stands when it returns, after a
        crash too; what went is freed by the ticks that follow, in slices. NotFound, PolicyError, Held.
        O(kept log kept).
        """
        return compact(self.ledger, branch if branch is None or isinstance(branch, str) else branch.name, keep)

    def tune(self, branch: Branch | str, keep: str, *, dry_run: bool = False) -> Tuned:
        """Give a branch another policy, now: what is lost at once, what is gained, and what it costs.

        The tiers are rebuilt from the kept commits; a crash leaves the old or the new, and the new once this has
        returned. What is lost is freed by the ticks that follow, in slices. With `dry_run` only what it would be, also
        of a store open for reading. NotFound; PolicyError for a policy that cannot be; LimitReached, naming the least
        size of a store, if it has not so many slots. Held.
        Like `git gc` with another expiry: what is lost is lost. O(kept log kept).
        """
        return tune(self.ledger, branch if isinstance(branch, str) else branch.name, keep, dry_run=dry_run)

    # Series

    def series(
        self,
        pattern: str,
        cf: str = "average",
        since: str | datetime | int | None = None,
        until: str | datetime | int | None = None,
        step: str | int | None = None,
    ) -> Series:
        """Times, paths and values of the recorded paths that `pattern` matches, as numpy arrays; docs/series.md.

        `cf` is average, min, max or last; `step` text such as "5m", or seconds. Each time is the UTC beginning of a
        row of one step; NaN is unknown. SeriesError for another `cf`, a step that no tier divides, a pattern that
        matches nothing recorded and was not declared; InvalidWhen, InvalidPattern. O(rows) a path.
        """
        return consolidation.series(self.ledger, pattern, cf, since, until, step)

    # Reports

    def plan(self, keep: str | None = None, branch: str | None = None) -> reports.Plans:
        """What is kept and why, by branch or of one; what the next compaction drops (nothing: commits go one by one).

        With `keep` as it would be with this policy. NotFound, PolicyError. O(kept log kept).
        """
        self.ledger.check_open()
        self.ledger.leases.end_all()
        return reports.plans(self.ledger, keep, branch)

    def explain(self, commit: Commit | str) -> reports.Explanation:
        """Why one commit is kept and until when at the earliest, or that and between which it was thinned."""
        self.ledger.check_open()
        self.ledger.leases.end_all()
        return reports.explain(self.ledger, _name(commit))

    def info(self) -> reports.Info:
        """Size, fill and reach of everything, in one value."""
        self.ledger.check_open()
        self.ledger.leases.end_all()
        return reports.info(self.ledger)

    def forecast(self, keep: str | None = None, branch: str = MAIN) -> Forecast:
        """What a policy will cost here, or the one that a branch has, if commits come and weigh as they did so far.

        NotFound, PolicyError. O(kept log kept).
        """
        self.ledger.check_open()
        return foreseen_here(self.ledger, branch, keep)

    def check(self, *, progress: Progress | None = None) -> list[Problem]:
        """Everything verified that can be, and what is wrong where; empty if it is clean. O(size).

        `progress(done, all)` is called now and then.
        """
        self.ledger.check_open()
        self.ledger.finish()
        return self.ledger.storage.check(progress) or consolidation.problems(self.ledger)


def _name(commit: Commit | str) -> str:
    return commit.id if isinstance(commit, Commit) else commit
