"""What the facade asks of a storage, and what the two tell each other.

Rule: before the answer a commit, or a change of branches, tags or pins, goes to the journal (`append`); at a
tick every commit still kept at that moment is stored with its tree, and what is no longer kept is dropped
(`tick`). A tick may go on in steps while more is journalled (`ticking`). After a crash the state is the last
finished tick's plus all that was appended since its beginning, in order (`state`).
All storages run the same suite (tests/storage).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from rrdstore.history.branch import NO_REACH, Meeting, Reach
from rrdstore.tree.node import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rrdstore.history.commit import Edit, Key, Record
    from rrdstore.history.history import Due
    from rrdstore.tree.node import Node


class Entry(NamedTuple):
    """A commit as the journal holds it: what made it, not what it made. A tuple, as there is one for each commit."""

    number: int
    epoch: int
    branch: int
    parents: tuple[Key, ...]
    rt: int
    wall: int
    author: str
    message: str
    edits: tuple[Edit, ...]
    opaque: bytes = b""
    """The caller's own part; recovery hands it back."""
    meeting: Meeting | None = None
    """Of a merge: what it makes of the base of two branches."""


class Planted(Entry):
    """A commit of many places, all of them new: its edits lie beside the journal until a tick has stored it."""

    __slots__ = ()


Brief = tuple[int, int, str, str, str, bool]
"""Of a commit that sets one value: retention time, wall time, author, message, path, and whether the message goes on
with the path. What else an entry of it has is known from the commit before it."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A branch was made."""

    line: int
    """Its id."""
    name: str
    keep: str
    """Its retention policy, canonical."""
    upstream: int = 0
    """The id of the branch it was forked from, 0 if it begins with nothing."""
    head: int = 0
    """The number of its fork point, likewise."""
    lease: int = 0
    """As in `BranchState`, and `until`."""
    until: int = 0
    first: Entry | None = None
    """Its first commit, if it begins with nothing: the two are there together or not at all."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A branch was deleted."""

    line: int
    """Its id."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A commit was given a name."""

    name: str
    key: Key


@dataclass(frozen=True, slots=True)
class Untagged:
    """A tag was taken away."""

    name: str


@dataclass(frozen=True, slots=True)
class Pinned:
    """A commit was pinned."""

    number: int


@dataclass(frozen=True, slots=True)
class Unpinned:
    """A commit was pinned, and is no longer."""

    number: int


@dataclass(frozen=True, slots=True)
class Fit:
    """What a branch keeps from now on."""

    line: int
    """The branch's id."""
    keep: str
    """As in `BranchState`, and `rings`."""
    rings: bytes
    picks: tuple[int, ...]
    """The commits that its tiers hold, ascending. What no tier holds, and nobody else, is dropped."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Branches were given another policy, or tiers that hold less: what was decided, as it cannot be decided again."""

    fits: tuple[Fit, ...]


RefChange: TypeAlias = Begun | Ended | Tagged | Untagged | Pinned | Unpinned | Fitted
Acknowledged: TypeAlias = Entry | RefChange
"""What the journal holds, in the order in which it was answered."""


@dataclass(frozen=True, slots=True)
class BranchState:
    """A branch at a tick. Numbers are commits' unless said otherwise; 0 is none."""

    name: str
    """Empty if the branch was deleted and commits of it are still kept (tags, fork points); several may be so."""
    id: int
    """What its commits' `branch` says."""
    head: int
    """0 if deleted. A branch without a commit of its own has its fork point as head."""
    fork: int
    """Kept as long as any commit of this branch is: its first commit shares with it."""
    upstream: int
    """The id of the branch it was forked from."""
    base: int
    """The commit whose tree the next merge between this branch and its upstream starts from."""
    keep: str
    """Its retention policy, canonical."""
    rings: bytes
    """What its tiers cannot rebuild from the kept commits."""
    older: int = 0
    """The base before the last merge, for commits that are older than it."""
    reach: Reach = NO_REACH
    """Which commits of the two have these bases."""
    lease: int = 0
    """How long after the last merge the base is kept, microseconds; 0 is for ever."""
    until: int = 0
    """The retention time at which that ends."""


@dataclass(frozen=True, slots=True)
class SeriesState:
    """The series as of the last tick, in the bytes of the room `series`; cells are asked for by address."""

    declared: str
    """What was declared at creation."""
    records: Sequence[bytes] = ()
    """One for each column."""


@dataclass(frozen=True, slots=True)
class SeriesTick:
    """What changed in the series since the last tick: cells by address, records by column."""

    cells: Mapping[int, bytes]
    records: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class PutOff:
    """What a tick that was put off is to bring: the journal has it, the tables do not."""

    due: Due
    """The fresh ones have their trees in memory."""
    series: SeriesTick | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All that a store is, as of the last tick, and the journal since."""

    uuid: bytes
    epoch: int
    """Of this opening: one higher than the last, durably (a reader's is the writer's)."""
    number: int
    """The last commit number given out as of the tick."""
    commits: Sequence[Record]
    """The kept ones, by number."""
    branches: Sequence[BranchState]
    tags: dict[str, Key]
    pins: frozenset[int]
    pending: Sequence[Acknowledged] = ()
    """What the journal holds since the tick, in order."""
    series: SeriesState | None = None
    """None if none were declared."""
    line: int = 0
    """The highest branch id ever given out as of the tick; at least that of each branch."""
    put_off: PutOff | None = None
    """What of it a net of the journal has, and no table; None if there is no net."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What a tick brings to disk in one transaction."""

    number: int
    store: Sequence[Record]
    """Kept, not stored yet, by number. The storage sets `root_number` and `top`, and keeps them without their trees."""
    drop: Sequence[Record]
    """Stored and not kept any more."""
    changed: Sequence[Record]
    """Stored, still kept, with other grafts or another `thinned` than on disk."""
    branches: Sequence[BranchState]
    tags: dict[str, Key]
    pins: frozenset[int]
    series: SeriesTick | None = None
    line: int = 0
    """As in State."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes and fill of a storage; all zero where there is no bound."""

    size: int = 0
    """What the files together never exceed."""
    files: dict[str, int] = field(default_factory=dict)
    """Bytes now, by file."""
    room: int = 0
    """Bytes that objects may take."""
    live: int = 0
    """Bytes that objects take now."""
    objects: int = 0
    journal: int = 0
    journal_used: int = 0
    ticks: int = 0
    memory: int = 0
    """What it takes of the process at most, beside what no tick has stored and what the user holds; 0 is no bound."""


Progress: TypeAlias = "Callable[[int, int], object]"
"""Told how much is done, of how much."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that `check` found: where, what was found, what was expected."""

    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}, expected {self.expected}"


class Storage(Source, Protocol):
    """A place for one store. One thread writes; `load` may be called from any."""

    readonly: bool
    forgets_trees: bool
    """Whether a stored commit's tree may be let go of in memory, to be loaded again.

    One that never forgets has nothing to recover either: it is neither asked for room nor told of entries.
    """
    max_branches: int
    max_tags: int
    max_pins: int
    max_snapshots: int
    max_slots: int
    """What there is room for; 0 is no limit. Deleted branches of which commits are kept count.

    Snapshots are commits that snapshots and transactions hold; slots are those of all branches' policies.
    """

    def state(self) -> State:
        """What there is: called after opening, and again after a tick that failed, to go back to what was acknowledged.

        Commits come as new records without a tree in memory.
        """
        ...

    def lacking(self, cost: int, *, shrinks: bool) -> int:
        """How many bytes of room are lacking for `cost` more bytes; at most 0 means that it fits."""
        ...

    @property
    def largest(self) -> int:
        """The greatest cost of one change, in bytes; 0 is no limit."""
        ...

    def write(self, number: int, epoch: int, branch: int, brief: Brief, value: bytes) -> int:
        """As `append`, of a commit that sets one value, on the one before it: 1, 2 if a tick is `due` then.

        0, and nothing has happened, if that is to be asked instead.
        """
        ...

    def append(self, entry: Acknowledged) -> bool:
        """Put a change in the journal; False if it is too large for it and must be stored straight by a tick."""
        ...

    @property
    def due(self) -> bool:
        """Whether a tick is wanted now, the journal being half full."""
        ...

    def tick(self, tick: Tick) -> None:
        """Bring all of this to disk in one transaction, then free what was dropped; on error nothing has changed."""
        ...

    def ticking(self, tick: Tick) -> Iterator[bool]:
        """The same in steps; each says whether the tick is true by now, after which no error comes any more.

        What is appended between two steps is of the next tick, and recovered if the process ends before that.
        The records of `tick` are the storage's until the end, so nobody changes them. `state` and another tick
        abandon it; `check` is not to be asked meanwhile.
        """
        ...

    def put_off(self, tick: Tick, *, gains: bool = False) -> bool:
        """Put a whole tick in the journal, in the place of all its entries, as another process is in the way of a true.

        False, and nothing has changed, if it does not fit; with `gains` also if it takes more than half of what the
        entries take. What it is to store, drop and change is still to be brought by the next tick.
        """
        ...

    @property
    def unjournalled(self) -> bool:
        """Whether entries are taken and forgotten, for want of room and by the owner's choice, until a tick has all."""
        ...

    def forget(self) -> None:
        """Be so from now on: `append` takes everything, and what comes is lost if the process ends before a tick."""
        ...

    def root(self, commit: Record) -> Node:
        """The tree of a stored commit."""
        ...

    def cells(self, addresses: Sequence[int]) -> bytes:
        """The cells of series at these addresses, as of the last tick, one after the other; zeros if never written."""
        ...

    def usage(self) -> Usage:
        """What it takes of its size."""
        ...

    def weigh(self, commits: Sequence[Record]) -> int:
        """Bytes of all objects that these stored commits reach together; O(objects). Asked under byte pressure only."""
        ...

    def foretell(self, *, look: bool) -> Callable[[Record], int]:
        """What tells of stored commits, one after the other, how many bytes go with each at least; 0 is not known.

        As if those asked before were gone; nothing is dropped. With `look` objects are read where nobody remembers.
        Asked under byte pressure only.
        """
        ...

    def each(self, commits: Sequence[Record]) -> int:
        """About how many bytes each of these stored commits takes beside the newest of its branch, which is among them.

        On average, of those that are not the newest; 0 if there are none.
        """
        ...

    def check(self, progress: Progress | None = None) -> list[Problem]:
        """Everything verified that can be; empty is clean. `progress(done, all)` is called now and then."""
        ...

    def close(self) -> None:
        """Let go of everything; what `tick` did not store is in the journal."""
        ...
