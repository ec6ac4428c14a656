"""What there is to see at one moment: which commits are kept, and how large the files are.

Rule: only the file is asked, opened for reading as by any other process; the daemon that writes it knows nothing of it.
Cost: O(kept log kept) a look, a few microseconds a sample.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import rrdstore

_MICROSECONDS: Final = 1_000_000
_PROOFS: Final = 8


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier: its rule, what it holds (microseconds since the epoch, oldest first), and how much it could hold."""

    rule: str
    times: tuple[int, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Look:
    """The history at one moment. Times are microseconds since the epoch."""

    at: int
    made: int
    kept: tuple[int, ...]
    bound: int
    tiers: tuple[Tier, ...]
    proofs: Mapping[str, bytes]
    """Of some kept commits, by id, the digest of the tree."""


def look(store: rrdstore.Store, at: int) -> Look:
    """See what a store keeps at the moment `at`."""
    info, main = store.info(), store.branch("main")
    [branch] = [branch for branch in info.branches if branch.name == "main"]
    picks = store.plan().branches["main"].picks
    kept = [*main.log()][::-1]
    chosen = {kept[index * (len(kept) - 1) // _PROOFS].id for index in range(_PROOFS + 1)}
    return Look(
        at=at,
        made=info.commits,
        kept=tuple(round(commit.time.timestamp() * _MICROSECONDS) for commit in kept),
        bound=info.bound,
        tiers=tuple(
            Tier(fill.tier, tuple(time for time, _ in held), fill.rows)
            for fill, held in zip(branch.tiers, picks, strict=True)
        ),
        proofs={commit.id: commit.digest for commit in kept if commit.id in chosen},
    )


@dataclass(slots=True)
class Sizes:
    """The files of a store, sampled: bytes of the store, of its journal, and of all files in the directory together."""

    directory: Path
    name: str
    samples: int = 0
    store: set[int] = field(default_factory=set)
    journal: set[int] = field(default_factory=set)
    together: set[int] = field(default_factory=set)

    def sample(self) -> None:
        """Look at the files now."""
        found: dict[str, int] = {}
        for path in self.directory.iterdir():
            # SQLite's own files come and go.
            with contextlib.suppress(FileNotFoundError):
                found[path.name] = path.stat().st_size
        self.samples += 1
        self.store.add(found.get(self.name, 0))
        self.journal.add(found.get(f"{self.name}-ring", 0))
        self.together.add(sum(found.values()))
