"""What connections share of the way out: who waits to be sent, what caused what is queued, and the time.

Rules
1. A request of an unprivileged connection is outstanding from its reply until that and every event
   it caused, to whomever, is written or dropped. So a guest that provokes events to a slow reader is
   itself slowed down, and nobody else (XSA-326).
2. Time is told by the shell, in seconds that only rise; the state machine has no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.engine.notices import Notice
from xsadapter.engine.quotas import QUIET, QUOTAS, QuotaError
from xsadapter.engine.touched import Touched
from xsadapter.engine.trail import Trail

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.domains import Domain
    from xsadapter.engine.guest import GuestConnection


class Outstanding:
    """One request, as long as something it caused is not written: `left` is how many messages."""

    __slots__ = ("domain", "left")

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.left = 0

    def queued(self) -> None:
        """One more message."""
        if not self.left:
            usage, maxima = self.domain.usage, self.domain.maxima
            usage.outstanding += 1
            maxima.outstanding = max(maxima.outstanding, usage.outstanding)
        self.left += 1

    def done(self) -> None:
        """One of them is written, or dropped."""
        self.left -= 1
        if not self.left:
            self.domain.usage.outstanding -= 1
            self.domain.ease()


class Flow:
    """One for all connections of a daemon."""

    __slots__ = (
        "asking",
        "cause",
        "ended",
        "event_timeout",
        "making",
        "notices",
        "now",
        "resumed",
        "touched",
        "trail",
        "waiting",
    )

    def __init__(self) -> None:
        self.waiting: list[Connection] = []
        """Those with something to send, each once from the moment its queue stopped being empty."""
        self.making: dict[int, GuestConnection] = {}
        """Guests that are behind and have read all that waited, by serial number."""
        self.resumed: list[Connection] = []
        """Those whose request had to wait and is to be tried again."""
        self.ended: list[Connection] = []
        """Those that ended by what others did: whoever carries their bytes is to let go."""
        self.notices: list[Notice] = []
        """What the shell is to log."""
        self.touched = Touched()
        """What the shell is to write down."""
        self.trail = Trail()
        """What auditors are to know."""
        self.cause: Outstanding | None = None
        """The request that is being carried out, if it is an unprivileged connection's."""
        self.asking: Connection | None = None
        """Whose request is being carried out."""
        self.now = 0.0
        self.event_timeout = 20.0
        """Seconds that an unprivileged receiver has to begin reading an event; 0 is for ever. C's default."""

    def make(self) -> None:
        """Queue some events for each guest that is behind and reads. O(guests that do)."""
        for serial, connection in [*self.making.items()]:
            del self.making[serial]
            try:
                if not connection.closed:
                    connection.make()
            except MemoryError:
                self.making[serial] = connection
                raise


def refused(domain: Domain, quota: str, flow: Flow, name: str = "") -> QuotaError:
    """The error of a refusal by a quota, which is counted, and logged unless it just was; `name` if not its own."""
    count = domain.refusals[quota] = domain.refusals.get(quota, 0) + 1
    limit = domain.limits[quota]
    if is_due(domain, quota, flow):
        flow.notices.append(Notice(f"domain {domain.domid} is at its quota {quota} of {limit}: refused {count} times"))
    return QuotaError(name or QUOTAS[quota].refusal, quota, limit)


def is_due(domain: Domain, what: str, flow: Flow) -> bool:
    """Whether the log may be told of this again: once in ten seconds for a domain, which may provoke it at will.

    Domain 0 may fill the log.
    """
    last = domain.told.get(what)
    due = not domain.domid or last is None or flow.now - last >= QUIET
    if due:
        domain.told[what] = flow.now
    return due
