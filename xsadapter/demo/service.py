"""The daemon on this thread, a story on another.

Rule: the daemon's loop has the main thread, since signals are for it; the story starts when the loop serves, and its
end stops the loop. If a signal ends the loop first, the story loses its connections and ends by that.
"""

from __future__ import annotations

import contextlib
import socket
from threading import Event, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from xsadapter.engine.daemon import Daemon
from xsadapter.server import Server
from xsadapter.transport.listener import Listener
from xsadapter.transport.socket import listen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import rrdstore

T = TypeVar("T")


def beside(store: rrdstore.Store, place: Path, boot: str, story: Callable[[], T]) -> tuple[T, int]:
    """Serve `store` at the socket `place` while `story` runs; what it returned, and how many requests were answered.

    Raises what the story raised; KeyboardInterrupt if SIGINT or SIGTERM came first. Call it in the main thread.
    """
    with listen(place) as listener:
        try:
            daemon = Daemon(store)
            daemon.begin(boot)
            server = Server(daemon, [Listener(listener)])

            def stop() -> None:
                server.stop()
                # A visitor wakes the loop, which then sees that it has been stopped.
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as visitor:
                    visitor.connect(str(place))

            told = _Told(story, stop)
            try:
                server.run(told.thread.start)
                interrupted = not told.ended.is_set()
            finally:
                server.close()
                # Who has connected and was not accepted any more would wait for ever.
                listener.close()
                told.join()
            if interrupted:
                raise KeyboardInterrupt
            return told.outcome(), daemon.operations
        finally:
            place.unlink(missing_ok=True)


class _Told(Generic[T]):
    """A function on its own thread, and what came of it."""

    def __init__(self, story: Callable[[], T], after: Callable[[], None]) -> None:
        self._story, self._after = story, after
        self._results: list[T] = []
        self._fault: BaseException | None = None
        self.ended = Event()
        self.thread = Thread(target=self._run, name="story", daemon=True)

    def _run(self) -> None:
        try:
            self._results.append(self._story())
        except BaseException as fault:  # noqa: BLE001 - raised again on the thread that waits for it
            self._fault = fault
        finally:
            self.ended.set()
            self._after()

    def join(self) -> None:
        """Wait for its end, if it began."""
        if self.thread.ident is not None:
            self.thread.join()

    def outcome(self) -> T:
        """What the function returned; raises what it raised."""
        if self._fault is not None:
            raise self._fault
        return self._results[0]
