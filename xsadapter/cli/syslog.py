"""The daemon's log where it has no terminal: the system's, as C xenstored's is.

Rules
1. A line is one datagram to /dev/log: `<PRIORITY>Mmm dd hh:mm:ss xenstored[PID]: TEXT`, as RFC 3164 and libc have it.
   The facility is daemon. A record of several lines, such as a traceback, is several datagrams.
2. The daemon never waits for it, as libc would: a line for which there is no room, or nobody who takes it, is lost, and
   the next one that goes through says how many were.
3. Whoever takes the lines may come later or go and come again.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from logging.handlers import SysLogHandler
from typing import Final

ADDRESS: Final = "/dev/log"

_NAME: Final = "xenstored"
_SEVERITIES: Final = {
    logging.CRITICAL: SysLogHandler.LOG_CRIT,
    logging.ERROR: SysLogHandler.LOG_ERR,
    logging.WARNING: SysLogHandler.LOG_WARNING,
    logging.INFO: SysLogHandler.LOG_INFO,
    logging.DEBUG: SysLogHandler.LOG_DEBUG,
}
_LONGEST: Final = 1024
"""Bytes of a line's text: what RFC 3164 lets everybody take, nearly."""


class Syslog(logging.Handler):
    """Records as lines for the system's log; never raises."""

    def __init__(self, address: str | None = None) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))
        self.lost = 0
        """Lines that nobody took since one was."""
        self._address = ADDRESS if address is None else address
        self._socket: socket.socket | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Send its lines. A system call each, and three more if who takes them has changed."""
        severity = _SEVERITIES.get(record.levelno, SysLogHandler.LOG_INFO)
        head = self._head(severity, record.created)
        for line in self.format(record).splitlines():
            if self.lost and self._sent(f"{head}{self.lost} lines were lost here"):
                self.lost = 0
            if self.lost or not self._sent(head + line):
                self.lost += 1

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        super().close()

    @staticmethod
    def _head(severity: int, at: float) -> str:
        priority = SysLogHandler.LOG_DAEMON << 3 | severity
        return f"<{priority}>{time.strftime('%b %e %H:%M:%S', time.localtime(at))} {_NAME}[{os.getpid()}]: "

    def _sent(self, line: str) -> bool:
        data = line.encode(errors="replace")[:_LONGEST]
        for again in (False, True):
            try:
                if self._socket is None or again:
                    self._connect()
                if self._socket is not None:
                    self._socket.send(data)
            except BlockingIOError:
                return False
            except OSError:
                continue
            return True
        return False

    def _connect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.setblocking(False)
        try:
            made.connect(self._address)
        except OSError:
            made.close()
            raise
        self._socket = made
