"""Telling the service manager: one datagram to the address in $NOTIFY_SOCKET, if there is one.

Rule: a message that cannot be delivered is not worth failing for; the service manager has its own time-outs. But those
that say what the daemon is at are waited for while the manager is busy, for some seconds: without its READY=1 it would
be killed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import Final

_MICROSECONDS: Final = 1_000_000
_PATIENCE: Final = 5.0


def notify(message: str, patience: float = _PATIENCE) -> None:
    """Send, for example, `READY=1`; nothing happens without a service manager, or if it takes nothing so long."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(patience)
        manager.sendto(message.encode(), address)


def reloading() -> None:
    """Tell that READY=1 comes again in a moment, from another program in this process."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


class Watchdog:
    """An errand: telling the service manager that the loop goes round, twice as often as it asks."""

    def __init__(self, every: float) -> None:
        """`every` so many seconds."""
        self._every = every
        self.at: float | None = 0.0

    @classmethod
    def wanted(cls) -> list[Watchdog]:
        """One, or none if the service manager asks for nothing, or asks another process."""
        asked, whom = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
        if not asked.isdigit() or not int(asked) or (whom and whom != str(os.getpid())):
            return []
        return [cls(int(asked) / _MICROSECONDS / 2)]

    def turn(self, _: object) -> None:
        """Tell it."""
        notify("WATCHDOG=1", 0.0)
        self.at = time.monotonic() + self._every
