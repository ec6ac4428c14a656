"""What signals ask of the loop.

Rules
1. SIGTERM and SIGINT ask it to stop. SIGHUP asks for the audit log to be opened again; where something is shown each
   second it means that nobody looks any more, and asks to stop. Any of them ends the poll that is under way.
2. SIGUSR1, with which oxenstored is asked for its tree, and SIGUSR2 ask for nothing, and end nobody.
3. While another program takes this one's place SIGHUP asks for nothing either, until that heeds it: it opens the log.
"""

from __future__ import annotations

import select
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEEDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PASSED_OVER: Final = (signal.SIGUSR1, signal.SIGUSR2)
_MOST: Final = 512


@contextmanager
def replaced() -> Iterator[None]:
    """Another program takes this one's place in there, or cannot; only the main thread may."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


class Signals:
    """Those of one loop: what they ask is `stopping` and `reopening`."""

    def __init__(self, *, shown: bool) -> None:
        """`shown`: something is shown each second."""
        self._shown = shown
        self.stopping = self.reopening = False
        self._awake, self._wake = socket.socketpair()

    @contextmanager
    def heeded(self, poll: select.epoll) -> Iterator[None]:
        """Heed them, and have this poll end with each; only the main thread may."""
        for end in (self._awake, self._wake):
            end.setblocking(False)
        poll.register(self._awake, select.EPOLLIN)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, self._came) for number in _HEEDED}
        before |= {number: signal.signal(number, signal.SIG_IGN) for number in _PASSED_OVER}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(-1)
            poll.unregister(self._awake)

    def woke(self, descriptor: int) -> None:
        """If it is ours that became readable, a signal's handler has run."""
        if descriptor == self._awake.fileno():
            self._awake.recv(_MOST)

    def close(self) -> None:
        """Nobody polls any more."""
        self._awake.close()
        self._wake.close()

    def _came(self, number: int, _: object) -> None:
        if number == signal.SIGHUP and not self._shown:
            self.reopening = True
        else:
            self.stopping = True
