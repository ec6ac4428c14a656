"""The daemon's places in the file system: its directory, sockets, pid file, and what is written down for the next.

Rules
1. Once a second it looks whether they are there. What somebody has removed is made again: who is connected has noticed
   nothing, who comes finds a socket, and who kills the daemon takes nothing. The store has an errand of its own
   (`cli.refuge`), and so has the keeper, which ends without its place.
2. A place that another has taken is left to him; that, and what cannot be made, is said once, and tried again.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from xsadapter.transport.socket import listen

if TYPE_CHECKING:
    from xsadapter.cli.pidfile import PidFile
    from xsadapter.engine.daemon import Daemon
    from xsadapter.recovery.going_on import GoingOn
    from xsadapter.server import Server
    from xsadapter.transport.listener import Listener

_log = logging.getLogger("xsadapter")

_LOOK: Final = 1.0
_TROUBLE: Final = "places"


class Places:
    """Those of one daemon, as an errand."""

    def __init__(
        self, daemon: Daemon, listeners: list[Listener], pid_file: PidFile | None, going_on: GoingOn | None
    ) -> None:
        self._daemon, self._listeners, self._pid_file, self._going_on = daemon, listeners, pid_file, going_on
        self._said = ""
        self.at = time.monotonic() + _LOOK

    def turn(self, server: Server) -> None:
        """See Errand."""
        self.at = time.monotonic() + _LOOK
        try:
            for listener in self._listeners:
                if not listener.in_place:
                    self._listen(server, listener)
            if self._pid_file is not None and self._pid_file.missing:
                self._pid_file.again()
        except OSError as error:
            if str(error) != self._said:
                self._said = str(error)
                _log.error("%s", error)
                self._daemon.troubles.begin(_TROUBLE, str(error), self._daemon.flow.now)
            return
        self._said = ""
        self._daemon.troubles.end(_TROUBLE)
        if self._going_on is not None:
            self._going_on.look()

    def _listen(self, server: Server, listener: Listener) -> None:
        path = listener.path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        server.listen(listener, listen(path, listener.confined))
        if self._going_on is not None:
            self._going_on.listens_anew()
        _log.error("%s was not in its place any more: it is made again", path)
