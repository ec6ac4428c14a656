"""A host's day, lived through the daemon's socket.

Rule: the clock moves only here, to each deed and each report in turn; all else follows from the seed. What was done
and when is noted on this side, to be compared with what the file says.
Cost: a few requests for each step of each guest; some 200 for each start of a domain.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID

import rrdstore
from xsadapter.demo import guests, toolstack
from xsadapter.demo.actors import Actor, Tally
from xsadapter.demo.day import DAY, HOUR, MINUTE, VICTIM, Deed, deeds, time_of
from xsadapter.demo.look import Look, Sizes, look
from xsadapter.demo.toolstack import Domain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rrdstore.testing import ManualClock

SECOND: Final = 1_000_000
BROKEN: Final = b"r"
"""What the mode of a disk should not be."""
LOOKS: Final = (HOUR, *range(3 * HOUR, DAY + 1, 3 * HOUR))
SHOWN: Final = frozenset({HOUR, 9 * HOUR, DAY})
"""The looks that are drawn as the day goes by; all of them are drawn after it."""

GIB: Final = 1 << 20
_MEMORY: Final = {"db1": 8 * GIB, "build1": 4 * GIB, "backup1": GIB}
_REBALANCED: Final = 5 * MINUTE
_TIDIED: Final = 30 * MINUTE


@dataclass(frozen=True, slots=True)
class Wrong:
    """What broke the key: the number of the commit, when it was made (microseconds), by which program."""

    number: int
    at: int
    path: str
    author: str


@dataclass(slots=True)
class Truth:
    """What was done, noted by who did it. Times are microseconds since the epoch."""

    midnight: int
    first: int = 0
    """The number of the first commit."""
    made: list[int] = field(default_factory=list)
    """When each commit was made, from the first one on."""
    names: list[tuple[int, frozenset[str]]] = field(default_factory=list)
    """From which commit on the domains had which names."""
    looks: list[Look] = field(default_factory=list)
    wrong: Wrong | None = None

    @property
    def last(self) -> int:
        """The number of the last commit."""
        return self.first + len(self.made) - 1

    def number_at(self, moment: int) -> int:
        """The number of the commit that was the newest at a moment."""
        return self.first + bisect_right(self.made, moment) - 1

    def names_at(self, number: int) -> frozenset[str]:
        """The names of the domains as of a commit."""
        return next((names for since, names in reversed(self.names) if since <= number), frozenset())


class Story:
    """One day on one host. `tell` is called with each thing worth a line, `show` with each look to be drawn."""

    def __init__(
        self,
        socket: Path,
        store: Path,
        clock: ManualClock,
        seed: int,
        step: int,
        sizes: Sizes,
        tell: Callable[[str, str], object],
        show: Callable[[Look, int], object],
    ) -> None:
        self._socket, self._store, self._clock = socket, store, clock
        self._step, self._sizes, self._tell, self._show = step, sizes, tell, show
        self._chance = Random(seed)
        self._deeds = deeds(seed)
        self._running: dict[str, Domain] = {}
        self._started: dict[str, int] = {}
        self._called: dict[str, str] = {}
        self._domid = 0
        self._truth = Truth(clock.wall())

    def live(self) -> Truth:
        """From midnight to midnight; what was done."""
        with rrdstore.open(self._store, readonly=True, clock=self._clock) as before, ExitStack() as actors:
            self._tally = Tally(before.branch("main").head.number)
            self._truth.first = self._tally.commits + 1

            def actor(name: str) -> Actor:
                return actors.enter_context(Actor(name, self._socket, self._tally))

            self._xl, self._guests, self._backends = actor("xl"), actor("guests"), actor("dom0-kernel")
            self._balancer, self._tidy = actor("squeezed"), actor("disk-tidy")
            for end in range(self._step, DAY + 1, self._step):
                self._live_until(end)
                self._sizes.sample()
                if end in LOOKS:
                    self._look(end)
        return self._truth

    def _live_until(self, end: int) -> None:
        begin = end - self._step
        agenda: list[tuple[int, int, Callable[[], object]]] = []

        def plan(at: int, action: Callable[[], object]) -> None:
            agenda.append((at * SECOND, len(agenda), action))

        for deed in self._deeds:
            if begin < deed.at <= end:
                plan(deed.at, partial(self._do, deed))
        for rhythm, what in ((_REBALANCED, self._rebalance), (_TIDIED, self._tidied)):
            if end // rhythm > begin // rhythm:
                plan(end // rhythm * rhythm, what)
        # Every other guest reports in a step, one after another.
        reporting = [name for name, domain in self._running.items() if (domain.domid + end // self._step) % 2]
        for place, name in enumerate(reporting, 1):
            at = begin * SECOND + place * self._step * SECOND // (len(reporting) + 1)
            agenda.append((at, len(agenda), partial(self._report, name)))
        for at, _, action in sorted(agenda, key=lambda item: item[:2]):
            self._wait_until(at)
            self._noted(action)
        self._wait_until(end * SECOND)

    def _wait_until(self, at: int) -> None:
        """Until `at` microseconds after midnight."""
        self._clock.advance((self._truth.midnight + at - self._clock.wall()) / SECOND)

    def _noted(self, action: Callable[[], object]) -> None:
        before = self._tally.commits
        action()
        self._truth.made += [self._clock.wall()] * (self._tally.commits - before)

    # What happens

    def _do(self, deed: Deed) -> None:
        match deed.what:
            case "boot":
                toolstack.boot(self._xl)
                self._name("Domain-0", "Domain-0", self._tally.commits)
                said = f"the host {deed.name} boots"
            case "start":
                said = f"{deed.name} starts as domain {self._begin(deed.name, deed.name)}"
            case "arrive":
                domid = self._begin(deed.name, f"{deed.name}--incoming")
                self._rename(deed.name, deed.name)
                said = f"{deed.name} arrives from host xen8, as domain {domid}"
            case "stop":
                self._ask(deed.name, b"poweroff")
                said = f"{deed.name} shuts down, domain {self._end(deed.name)} is gone"
            case "leave":
                self._ask(deed.name, b"suspend")
                self._rename(deed.name, f"{deed.name}--migratedaway")
                said = f"{deed.name} moves to host xen8, domain {self._end(deed.name)} is gone"
            case "crash":
                crashed = self._end(deed.name)
                said = (
                    f"{deed.name} crashes as domain {crashed} and is restarted as {self._begin(deed.name, deed.name)}"
                )
            case "wrong":
                self._go_wrong()
                return
        if not deed.is_job:
            self._tell(time_of(deed.at), said)

    def _begin(self, name: str, called: str) -> int:
        self._domid += 1
        uuid = UUID(bytes=self._chance.randbytes(16), version=4)
        domain = Domain(self._domid, name, uuid, _MEMORY.get(name, GIB // 2))
        taken = self._xl.read_all(f"{other.home}/name" for other in self._running.values())
        if called.encode() in taken:
            raise ValueError(f"found a domain named {called}, expected none")
        self._running[name], self._started[name] = domain, self._clock.wall()
        self._name(name, called, self._tally.commits + 1)
        toolstack.create(self._xl, domain, called)
        guests.connect(self._guests, self._backends, domain)
        return domain.domid

    def _rename(self, name: str, called: str) -> None:
        toolstack.rename(self._xl, self._running[name], called)
        self._name(name, called, self._tally.commits)

    def _ask(self, name: str, what: bytes) -> None:
        toolstack.ask(self._xl, self._running[name], what)
        guests.acknowledge(self._guests, self._running[name])

    def _end(self, name: str) -> int:
        domain = self._running[name]
        toolstack.destroy_devices(self._xl, domain)
        self._xl.remove(f"/vm/{domain.uuid}")
        self._xl.remove(domain.home)
        del self._running[name], self._started[name]
        self._name(name, "", self._tally.commits)
        self._xl.remove(f"/libxl/{domain.domid}")
        return domain.domid

    def _report(self, name: str) -> None:
        if name in self._running:
            uptime = (self._clock.wall() - self._started[name]) // SECOND
            guests.report(self._guests, self._running[name], uptime, self._chance)

    def _rebalance(self) -> None:
        """Give each guest what it has and a part of what it does not use."""
        running = list(self._running.values())
        free = self._balancer.read_all(f"{domain.home}/data/meminfo_free" for domain in running)
        for domain, unused in zip(running, free, strict=True):
            target = domain.memory - int(unused) // 4
            self._balancer.write(f"{domain.home}/memory/target", b"%d" % target)

    def _tidied(self) -> None:
        self._tidy.write("/tool/disk-tidy/last-run", b"%d" % (self._clock.wall() // SECOND))

    def _go_wrong(self) -> None:
        domain = self._running[VICTIM]
        path = f"{domain.backend(domain.devices[0])}/mode"
        self._tidy.write(path, BROKEN)
        self._truth.wrong = Wrong(self._tally.commits, self._clock.wall(), path, self._tidy.name)

    # What is noted

    def _name(self, name: str, called: str, since: int) -> None:
        """From commit `since` on a domain is called so; not at all, if that is empty."""
        self._called[name] = called
        self._truth.names.append((since, frozenset(filter(None, self._called.values()))))

    def _look(self, end: int) -> None:
        with rrdstore.open(self._store, readonly=True, clock=self._clock) as store:
            seen = look(store, self._clock.wall())
        self._truth.looks.append(seen)
        if end in SHOWN:
            self._show(seen, self._truth.midnight)
