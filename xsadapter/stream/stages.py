"""In which order records go to C xenstored.

Rules
1. It looks a domain up by going through all it knows, the newest first: for a node its owner, twice, and who else its
   list names. So a ring comes as late as it can, and after it at once what names its domain, which is the first that is
   found then. A node comes with the last ring of all whose domains its list, or that of a node above it, names: an
   entry of a domain that is not known yet would be taken for one of a domain that is gone.
2. Of what names no guest, names of large directories come before what is below them: C writes a directory's list again
   for each name in it, and looks for room among what all others have left.

What it takes is still the square of the domains, as it looks for domain 0 too, which must be there first; measured in
docs/bench.md. Cost here: O(records).
"""

from __future__ import annotations

from collections import Counter
from itertools import compress
from operator import not_
from typing import TYPE_CHECKING, Final

from xsadapter.stream.records import Ring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from xsadapter.stream.records import Connection, Node, Permission, Record, Watch

_WIDE: Final = 100
"""Names of a directory that is large."""


def staged(
    clients: Iterable[Connection], watches: Mapping[int, Sequence[Watch]], nodes: Iterable[Node]
) -> Iterator[Record]:
    """All of them; `watches` by the number of the connection, `nodes` parents first."""
    first: list[Connection] = []
    later: list[Connection] = []
    for client in clients:
        (later if isinstance(client.channel, Ring) and client.channel.domid else first).append(client)
    stages = _cut({client.channel.domid: at for at, client in enumerate(later, 1)}, nodes)  # type: ignore[union-attr]  # rings
    for client in first:
        yield client
        yield from watches.get(client.identifier, ())
    yield from _wide_first(stages.get(0, []))
    for at, client in enumerate(later, 1):
        yield client
        yield from watches.get(client.identifier, ())
        yield from stages.get(at, [])


def _cut(ranks: Mapping[int, int], nodes: Iterable[Node]) -> dict[int, list[Node]]:
    """The nodes that come with each ring; 0 is before all."""
    found: dict[int, list[Node]] = {0: []}
    stages: dict[bytes, int] = {b"": 0}
    known: dict[tuple[Permission, ...], int] = {}
    for node in nodes:
        permissions = node.permissions
        stage = known.get(permissions)
        if stage is None:
            named = (ranks.get(each.domid, 0) for each in permissions if not each.stale)
            stage = known[permissions] = max(named, default=0)
        stage = max(stage, stages.get(_above(node), 0))
        if stage:
            stages[node.path] = stage
            found.setdefault(stage, []).append(node)
        else:
            found[0].append(node)
    return found


def _wide_first(nodes: list[Node]) -> Iterator[Node]:
    counts = Counter(map(_above, nodes))
    wide = {path for path, count in counts.items() if count > _WIDE}
    leading = {path[:at] for path in wide for at in range(len(path)) if path[at : at + 1] == b"/"} | wide
    sooner = [node.path == b"/" or node.path in leading or _above(node) in wide for node in nodes]
    yield from compress(nodes, sooner)
    yield from compress(nodes, map(not_, sooner))


def _above(node: Node) -> bytes:
    """The path of its parent, empty for the root's."""
    return node.path.rpartition(b"/")[0]
