"""What the loop does when its time has come, and how long it may sleep until then.

Rule: errands are asked when something of theirs is due, and otherwise no more often than every 10 ms: a turn takes a
few microseconds, and to ask all of them took one of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xsadapter.bells import Bells
    from xsadapter.engine.daemon import Daemon
    from xsadapter.errands import Errands
    from xsadapter.server import Server
    from xsadapter.ticking import Ticking
    from xsadapter.transport.listener import Listeners

_PAUSE: Final = 0.01
_NEVER: Final = float("inf")


class Timers:
    """A server's. `expire_at` is when what guests do not read is to be looked at, in monotonic seconds."""

    def __init__(
        self,
        server: Server,
        daemon: Daemon,
        listeners: Listeners,
        ticking: Ticking,
        errands: Errands,
        bells: Bells,
    ) -> None:
        self._server, self._daemon, self._listeners = server, daemon, listeners
        self._ticking, self._errands, self._bells = ticking, errands, bells
        self._asked = -_PAUSE
        self._due = _NEVER
        """When the errands were asked, and when the first of theirs is due, as they said then."""
        self.expire_at: float | None = None

    def turn(self, now: float, busy: bool) -> float:
        """Do what is due by now; how long the next poll may last: seconds, -1 is for ever."""
        ticking, daemon, listeners = self._ticking, self._daemon, self._listeners
        if busy:
            daemon.metrics.turns.took(now - daemon.flow.now)
            if ticking.at is None:
                ticking.served(now)
        if ticking.at is not None and now >= ticking.at:
            ticking.turn()
        if listeners.wake is not None:
            listeners.rest(now)
        first, again = self._due, self._asked + _PAUSE
        if now >= first or now >= again:
            found = self._errands.turn(self._server, now)
            first = self._due = _NEVER if found is None else found
            self._asked = now
        elif again < first:
            first = again
        if ticking.at is not None and ticking.at < first:
            first = ticking.at
        if self.expire_at is not None and self.expire_at < first:
            first = self.expire_at
        for wake in (listeners.wake, self._bells.wake):
            if wake is not None and wake < first:
                first = wake
        if daemon.turns.held:
            turns = daemon.turns.deadline
            if turns is not None and turns < first:
                first = turns
        if first == _NEVER:
            return -1.0
        return first - now if first > now else 0.0
