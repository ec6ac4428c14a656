"""Formats: how a file of an older one becomes one of this version's.

Rule: a file says its format twice, in SQLite's header and in `meta`; both change in one transaction, and that is on
the disk before anything is written that the older format does not have. So an older version of the program refuses
the file, naming both formats, and never reads half of what was acknowledged; until then the file is what it was.
What format 2 has not: changes of branches, policies, tags and pins in its journal, and paths that go on from others.
What format 3 has not: commits in brief. What format 4 has not: commits whose edits lie beside the journal. So where the
log is held, commits go on in the format that there is.
Cost: one transaction in the life of a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.storage.entries import is_new
from rrdstore.storage.protocol import Planted
from rrdstore.storage.schema import FORMAT, proof

if TYPE_CHECKING:
    from rrdstore.storage.container import Container
    from rrdstore.storage.protocol import Acknowledged

_REFS, BRIEF = 3, 4
"""The first that has changes of refs in its journal, and commits in brief."""
_PAGES = 4
"""SQLite's header, `meta`, and what declared series may add to it."""


def older(held: Container) -> int:
    """The format of a file if it is an older one, else 0."""
    found = int(held.meta["format"])
    return found if found < FORMAT else 0


def lacks(version: int, entry: Acknowledged) -> bool:
    """Whether the journal of an older format has no record for this. O(edits)."""
    return entry.__class__ is Planted or (version < _REFS and is_new(entry))


def renew(held: Container) -> None:
    """Make it one of this version's; Held, Unwritable: it is what it was then."""
    rows = {**held.meta, "format": str(FORMAT)}
    rows["check"] = proof(rows)
    with held.transaction(_PAGES, durable=True):
        for key in ("format", "check"):
            held.execute("UPDATE meta SET v = ? WHERE k = ?", (rows[key], key))
        held.execute(f"PRAGMA user_version = {FORMAT}")
    held.meta = rows
