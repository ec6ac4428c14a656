"""CONTROL metrics: the daemon's counters, for programs; and those of each domain, page by page.

Rules
1. `metrics` answers a line for each counter: its name and a number, or numbers. Names stay, more may come.
2. `metrics domains <from>` answers a line of column names, then one for each known domain from that number on, as many
   as fit; if there are more the last line is `next <domid>`.
3. Spans of time are a line of sum, longest, and how many took less than 1, 2, 4 ... microseconds and not less than half
   of that.

Cost: `metrics` O(connections); a page O(its domains), that with domain 0 O(connections) once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.arguments import number
from xsadapter.engine.permissions import DOMID_MAX
from xsadapter.errors import RequestError
from xsadapter.operations import NAMES
from xsadapter.wire import PAYLOAD_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.domains import Domain

COLUMNS: Final = (
    "domid",
    "operations",
    "conflicts",
    "refusals",
    "nodes",
    "nodes-limit",
    "memory",
    "memory-limit",
    "watches",
    "watches-limit",
    "transactions",
    "transactions-limit",
    "outstanding",
    "outstanding-limit",
    "queued",
)
_LIMITED: Final = tuple(name.removesuffix("-limit") for name in COLUMNS if name.endswith("-limit"))
_ROOM: Final = PAYLOAD_MAX - len("next 32767\n") - 1


def metrics(daemon: Daemon, parameters: list[bytes]) -> str:
    """Counters of the daemon, or of domains; EINVAL."""
    match parameters:
        case []:
            return "".join(f"{name} {value}\n" for name, value in _counters(daemon))
        case [b"domains", first]:
            return _page(daemon, number(first, DOMID_MAX))
        case _:
            raise RequestError("EINVAL")


def _counters(daemon: Daemon) -> Iterator[tuple[str, object]]:
    counted, info = daemon.metrics, daemon.store.info()
    yield "seconds", f"{daemon.flow.now - counted.began:.3f}"
    yield "operations", daemon.operations
    unknown = 0
    for kind, count in enumerate(counted.kinds):
        if kind in NAMES and count:
            yield f"operations-{NAMES[kind]}", count
        elif count:
            unknown += count
    yield "operations-unknown", unknown
    yield "conflicts", counted.conflicts
    yield "connections", len(daemon.connections)
    yield "watches", daemon.watches.count
    yield "open-transactions", sum(len(one.transactions) for one in daemon.connections.values())
    yield "turns-held", len(daemon.turns.held)
    yield "queued-bytes", sum(len(message) for one in daemon.connections.values() for message in one.output)
    yield "domains", sum(1 for _ in daemon.domains)
    yield "commits-made", info.commits
    yield "commits-kept", info.kept
    yield "commits-unstored", daemon.store.unstored
    yield "store-bytes", info.used
    yield "store-size", info.size
    yield "troubles", sum(1 for _ in daemon.troubles.told(info, daemon.flow.now))
    yield "lost-by-a-kill", int(daemon.troubles.lossy(info))
    for name, spans in (("turn", counted.turns), ("wait", counted.waits), ("tick-slice", counted.slices)):
        numbers = (spans.total, spans.longest, *spans.counts)
        yield f"{name}-microseconds", " ".join(map(str, numbers))


def _page(daemon: Daemon, first: int) -> str:
    lines, length = [" ".join(COLUMNS) + "\n"], 0
    for domid in range(first, DOMID_MAX + 1):
        domain = daemon.domains.get(domid)
        if domain is not None:
            line = " ".join(map(str, _row(daemon, domain))) + "\n"
            length += len(line)
            if length > _ROOM - len(lines[0]):
                lines.append(f"next {domid}\n")
                break
            lines.append(line)
    return "".join(lines)


def _row(daemon: Daemon, domain: Domain) -> Iterator[int]:
    if domain.domid:
        ring = (domain.connection,) if domain.connection is not None else ()
        connections = [*ring, *domain.clients]
    else:
        connections = [one for one in daemon.connections.values() if one.domain is domain]
    yield domain.domid
    yield domain.operations + sum(one.operations for one in connections)
    yield from (domain.conflicts, sum(domain.refusals.values()))
    for name in _LIMITED:
        yield getattr(domain.usage, name)
        yield domain.limits[name]
    yield sum(len(one.output) for one in connections)
