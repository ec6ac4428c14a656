"""Telling the service manager: one datagram to the address in $NOTIFY_SOCKET, if there is one.

Rule: a message that cannot be delivered is not worth failing for; the service manager has its own time-outs.
"""

from __future__ import annotations

import contextlib
import os
import socket


def notify(message: str) -> None:
    """Send, for example, `READY=1`; nothing happens without a service manager."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.setblocking(False)
        manager.sendto(message.encode(), address)
