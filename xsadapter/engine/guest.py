"""A guest as a client: bounded by its domain's quotas, and told when it reads.

Rules
1. A guest pays for what waits for it: of each message 256 bytes, which it takes beside them, and its own. An
   event that would put it over its quota, or that it has not begun to read in 20 seconds, is
   dropped; a reply never is. A guest that has too much outstanding is not read, nor is one that has too
   much memory and does not read what waits for it. (Nodes alone may be too much: it has to be able to
   remove them.)
2. Who does not read is told later (`telling`), and is not read as long as it is behind, so that no reply overtakes an
   event. Events that it waits for itself, in a reply, are made at once.
3. Whatever it is to be told is written down before whoever changed it is answered, as is that it was told all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.engine.connection import Connection, caused
from xsadapter.engine.message import Message
from xsadapter.engine.telling import MADE, SLICE, Late
from xsadapter.wire import HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.engine.domains import Domain
    from xsadapter.engine.flow import Flow, Outstanding
    from xsadapter.engine.telling import Telling
    from xsadapter.engine.watches import Watch

_KEPT: Final = 256
"""Bytes that a message which waits takes beside its own, about."""
_LOOKS: Final = 8
"""Looks at a change take as long as an event, about."""
_ALL: Final = 1 << 20


class GuestConnection(Connection):
    """An unprivileged one: bounded by its domain's quotas."""

    __slots__ = ("_lags", "_late", "_now", "_untold")

    def __init__(self, serial: int, domain: Domain, privileged: bool, peer: str, flow: Flow) -> None:
        super().__init__(serial, domain, privileged, peer, flow)
        self._untold: dict[object, Late] = {}
        self._lags = False
        """Whether it is known to be behind."""
        self._now: Late | None = None
        """What it is being told of, and the rest of that."""
        self._late: Iterator[tuple[str, Watch] | None] = iter(())

    @property
    def stalled(self) -> bool:
        """Whether it has as much outstanding, or as much memory, as its quotas allow, or is behind."""
        usage, limits = self.domain.usage, self.domain.limits
        outstanding, memory = limits["outstanding"], limits["memory"]
        return bool(
            (outstanding and usage.outstanding >= outstanding)
            or (memory and usage.memory >= memory and self.output)
            or self.behind
        )

    @property
    def behind(self) -> bool:
        """See Connection."""
        return self._now is not None or bool(self._untold)

    @property
    def owed(self) -> tuple[Late, ...]:
        """See Connection."""
        waits = tuple(self._untold.values())
        return waits if self._now is None else (self._now, *waits)

    @property
    def crowded(self) -> bool:
        """See Connection."""
        return self.behind or len(self.output) >= MADE

    def later(self, telling: Telling) -> None:
        """See Connection. Dropped if it would exceed the quota, or waits already. O(1)."""
        memory, cost, flow = self.domain.limits["memory"], telling.cost, self.flow
        if telling.key in self._untold or (memory and self.domain.usage.memory + cost > memory):
            return
        self.domain.charge(cost)
        if flow.cause is not None:
            flow.cause.queued()
        until = flow.now + flow.event_timeout if flow.event_timeout else 0.0
        self._untold[telling.key] = Late(telling, flow.cause, until)
        self._lags = True
        flow.touched.owes(self.serial, telling)
        self._go_on()

    def reply(self, kind: int, request: int, transaction: int, payload: bytes) -> None:
        """See Connection: behind all that it is to be told, what this request did included."""
        while self.behind and not self.closed:
            self.make(_ALL)
        super().reply(kind, request, transaction, payload)

    def make(self, most: int = SLICE) -> None:
        """Queue up to so many of the events that it is behind with. Without memory for more, the rest is dropped."""
        flow, left, domain = self.flow, most * _LOOKS, self.domain
        cause, memory = flow.cause, domain.limits["memory"]
        while left > 0 and self.behind:
            if self._now is None:
                self._now = self._untold.pop(next(iter(self._untold)))
                self._late = self._now.telling.events(self)
            flow.cause = self._now.cause
            for found in self._late:
                left -= 1
                if found is not None:
                    path, watch = found
                    left -= _LOOKS
                    self.event(path[watch.strip :] if watch.strip else path, watch.token)
                    if memory and domain.usage.memory + _KEPT + HEADER_SIZE > memory:
                        self._end_now()
                        break
                if left <= 0:
                    break
            else:
                self._end_now()
        flow.cause = cause
        self._go_on()

    def _end_now(self) -> None:
        if self._now is not None:
            self._told(self._now)
            self._now = None

    def _told(self, late: Late) -> None:
        """That is done, or dropped."""
        self.domain.charge(-late.telling.cost)
        if late.cause is not None:
            late.cause.done()

    def _go_on(self) -> None:
        """Some of what waited is gone, or it was told of something."""
        if not self._lags:
            return
        if not self.behind:
            self._lags = False
            self.flow.touched.owes(self.serial, None)
        elif not self.output:
            self.flow.making[self.serial] = self

    def sent(self, count: int) -> None:
        """See Connection."""
        super().sent(count)
        self._go_on()

    def sent_all(self) -> None:
        """See Connection."""
        super().sent_all()
        self._go_on()

    def expire(self, now: float) -> int:
        """See Connection."""
        count = super().expire(now)
        if self._now is not None and 0 < self._now.until <= now:
            self._end_now()
            count += 1
        for key, late in list(self._untold.items()):
            if not 0 < late.until <= now:
                break
            del self._untold[key]
            self._told(late)
            count += 1
        self._go_on()
        return count

    def clear(self) -> None:
        """See Connection."""
        for late in self.owed:
            self._told(late)
        self._untold.clear()
        self._now, self._late = None, iter(())
        super().clear()
        self._go_on()

    def _queue(self, message: bytes, cause: Outstanding | None) -> None:
        message = caused(message, cause) if cause is not None else Message(message)
        self.domain.charge(_KEPT + len(message))
        if not self.output:
            self.flow.waiting.append(self)
        else:
            self.flow.touched.grew(self)
        self.output.append(message)

    def event(self, path: str, token: bytes) -> None:
        """As any other's, but that what would be dropped for its memory costs next to nothing."""
        memory = self.domain.limits["memory"]
        if not memory or self.domain.usage.memory + _KEPT + HEADER_SIZE + len(path) + len(token) + 2 <= memory:
            super().event(path, token)

    def _queue_event(self, message: bytes, cause: Outstanding | None) -> None:
        self._queue(message, cause)
        if self.flow.event_timeout:
            self.output[-1].until = self.flow.now + self.flow.event_timeout  # type: ignore[attr-defined]  # a Message

    def _rest(self, message: bytes, count: int) -> bytes:
        # What is sent is not in memory any more.
        self.domain.charge(-count)
        return super()._rest(message, count)

    def _finish(self, message: bytes) -> None:
        self.domain.charge(-_KEPT - len(message))
        super()._finish(message)
