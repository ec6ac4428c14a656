"""What the daemon counts (CONTROL metrics), as one value that can be compared with an earlier one.

Rule: `take` asks, everything else is computed from two values: rates are differences over the seconds between them, of
one value alone over the daemon's whole life. A domain that began anew in between counts from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xsadapter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xsadapter.client import Client

_SPANS: Final = "-microseconds"
_NEXT: Final = "next"


@dataclass(frozen=True, slots=True)
class Spans:
    """How often something took how long; `counts[i]` less than 2^i microseconds and not less than half of that."""

    total: int
    """Microseconds, of all."""
    longest: int
    counts: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def since(self, before: Spans) -> Spans:
        """Those that came after; the longest is still that of all."""
        counts = tuple(map(int.__sub__, self.counts, before.counts))
        return Spans(self.total - before.total, self.longest, counts)

    def quantile(self, share: float) -> int:
        """At most so many microseconds that share of them took, within a factor of two; 0 if there were none."""
        left = share * self.count
        for power, count in enumerate(self.counts):
            left -= count
            if count and left <= 0:
                return min(1 << power, self.longest)
        return 0


Domain = dict[str, int]
"""One domain's row, by the names of the columns."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All counters at one moment."""

    seconds: float
    """Since the daemon began to serve."""
    counters: Mapping[str, int]
    spans: Mapping[str, Spans]
    domains: Mapping[int, Domain]

    def since(self, before: Figures | None, name: str) -> float:
        """How fast a counter rises, a second."""
        if before is None:
            return self.counters.get(name, 0) / max(self.seconds, 1e-3)
        return (self.counters.get(name, 0) - before.counters.get(name, 0)) / self.elapsed(before)

    def elapsed(self, before: Figures | None) -> float:
        """Seconds between the two."""
        return max(self.seconds - (before.seconds if before is not None else 0.0), 1e-3)

    def rate(self, before: Figures | None, domid: int, name: str) -> float:
        """The same, of one domain's."""
        now = self.domains[domid][name]
        then = before.domains.get(domid, {}).get(name, 0) if before is not None else 0
        return (now - then if now >= then else now) / self.elapsed(before)


def take(client: Client, domains: bool = True) -> Figures:
    """Ask the daemon, with its domains or without; RequestError EINVAL if it does not know how. O(domains)."""
    counters, spans, seconds = dict[str, int](), dict[str, Spans](), 0.0
    for line in client.control("metrics").splitlines():
        name, _, value = line.partition(" ")
        if name == "seconds":
            seconds = float(value)
        elif name.endswith(_SPANS):
            total, longest, *counts = map(int, value.split())
            spans[name.removesuffix(_SPANS)] = Spans(total, longest, tuple(counts))
        elif value:
            counters[name] = int(value)
    if not spans:
        # oxenstored says OK to whatever it does not know.
        raise RequestError("EINVAL", "CONTROL", "metrics")
    return Figures(seconds, counters, spans, _domains(client) if domains else {})


def _domains(client: Client) -> dict[int, Domain]:
    found, first = dict[int, Domain](), 0
    while True:
        head, *rows = client.control("metrics", "domains", str(first)).splitlines()
        columns = head.split()
        for row in rows:
            name, *numbers = row.split()
            if name == _NEXT:
                first = int(numbers[0])
                break
            found[int(name)] = dict(zip(columns, map(int, (name, *numbers)), strict=True))
        else:
            return found
