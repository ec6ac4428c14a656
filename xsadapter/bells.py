"""Ports that fire, and guests that notify in vain: how long their ports stay masked.

Rule: a port that fired is let fire again before its ring is looked at, so that nothing is missed, unless its guest has
notified `PATIENCE` times with nothing to be read or sent: then after a rest, in which it costs nothing, of `REST`
milliseconds, and up to three times twice as long if it goes on. What comes meanwhile is remembered by the mask, and the
ring is looked at when it ends, so only such a guest waits. Each time that something did come two are forgiven, and all
after `FORGIVEN` seconds of quiet: guests often notify twice.

A port that fired is masked until it was looked at, so it is `left` to the next turn if memory runs out before that.

Without rests one guest that notifies without end, which a guest can do from user space, took half of everybody's time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.transport.host import Host
    from xsadapter.transport.ring import RingClient

PATIENCE: Final = 16
REST: Final = 2
_LONGER: Final = 3
FORGIVEN: Final = 0.1


class Bells:
    """Of all ports. `wake` is when the first that rests is to be let fire again, in monotonic seconds."""

    def __init__(self) -> None:
        self._vain: dict[int, tuple[int, float]] = {}
        """How often in vain, and when last; none if never."""
        self._resting: dict[int, float] = {}
        self.wake: float | None = None
        self.left: dict[int, None] = {}
        """Ports that fired and were not looked at yet."""

    def fired(self, xen: Host, now: float) -> Iterator[tuple[int, RingClient | None, bool]]:
        """Ports that fired, whose they are, and whether one has fired again. Each is unmasked, unless it is to rest."""
        left = self.left
        left.update(dict.fromkeys(xen.fired()))
        for port in [*left]:
            client = xen.clients.get(port)
            vain, last = self._vain.get(port, (0, now))
            if client is None or vain < PATIENCE or now - last >= FORGIVEN:
                yield port, client, xen.unmask(port)
            else:
                until = self._resting[port] = now + (REST << (vain - PATIENCE)) / 1000
                if self.wake is None or until < self.wake:
                    self.wake = until
                yield port, client, False
            del left[port]

    def rested(self, xen: Host, now: float) -> Iterator[tuple[int, RingClient | None, bool]]:
        """The same of those whose rest is over. O(ports that rest)."""
        for port in [port for port, until in self._resting.items() if until <= now]:
            del self._resting[port]
            yield port, xen.clients.get(port), xen.unmask(port)
        self.wake = min(self._resting.values(), default=None)

    def answered(self, port: int, now: float, *, came: bool) -> None:
        """Whether anything came of it that a port fired. O(1)."""
        vain, last = self._vain.get(port, (0, now))
        if now - last >= FORGIVEN:
            vain = 0
        if not came:
            self._vain[port] = min(vain + 1, PATIENCE + _LONGER), now
        elif vain > 2:
            self._vain[port] = vain - 2, now
        else:
            self._vain.pop(port, None)
