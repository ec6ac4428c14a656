"""Two moments of a host, side by side.

Rule: all is read from trees, by the paths any client would use. Cost: O(domains), and O(changes) for the count.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import rrdstore


@dataclass(frozen=True, slots=True)
class Seen:
    """A domain as the tree shows it; `memory` in MiB, `disk` the mode it is attached in (empty for none)."""

    domid: int
    memory: int
    disk: str

    def __str__(self) -> str:
        disk = f", disk {self.disk}" if self.disk else ""
        return f"domain {self.domid:<3} {self.memory:>5} MiB{disk}"


def domains(tree: rrdstore.Tree) -> dict[str, Seen]:
    """The domains of a tree, by name."""
    found: dict[str, Seen] = {}
    home = "/local/domain"
    for domid in sorted(map(int, tree.list(home) if home in tree else ())):
        name, memory = tree.get(f"{home}/{domid}/name"), tree.get(f"{home}/{domid}/memory/target")
        disk = tree.get(f"{home}/0/backend/vbd/{domid}/51712/mode")
        if name is not None:
            found[name.value.decode()] = Seen(
                domid, int(memory.value) // 1024 if memory else 0, disk.value.decode() if disk else ""
            )
    return found


def side_by_side(then: dict[str, Seen], now: dict[str, Seen]) -> list[tuple[str, str, str]]:
    """A row for each domain of either: its name, what it was, what it is."""
    names = sorted(
        then.keys() | now.keys(), key=lambda name: min(seen[name].domid for seen in (then, now) if name in seen)
    )
    return [(name, str(then.get(name, "-")), str(now.get(name, "-"))) for name in names]


def counted(changes: Iterable[rrdstore.Change]) -> Counter[str]:
    """How many changes there are of each kind: added, removed, changed."""
    return Counter(change.kind for change in changes)
