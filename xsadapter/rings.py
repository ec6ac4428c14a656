"""Rings of which there is something to be done in a turn of the loop.

Rules
1. Touched is whose port fired or which has something to send. Those say at the end of a turn whether there is something
   for which no port will fire (`transport.ring`, rule 2), and are touched in the next one then too.
2. Of those that were there before the daemon nobody tells what came meanwhile, and there may be ten thousand: some are
   looked at in each turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.engine import lives

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from xsadapter.bells import Bells
    from xsadapter.engine.daemon import Daemon
    from xsadapter.stalls import Stalls
    from xsadapter.transport.host import Host
    from xsadapter.transport.ring import RingClient
    from xsadapter.transport.stream import StreamClient

    Client: TypeAlias = StreamClient | RingClient

LOOKS: Final = 64


class Rings:
    """A server's. `ready` are those who are served in this turn's rounds, by serial number."""

    def __init__(
        self, daemon: Daemon, xen: Host | None, ready: dict[int, Client], stalls: Stalls, bells: Bells
    ) -> None:
        self._daemon, self._ready, self._stalls, self._bells = daemon, ready, stalls, bells
        self.touched: dict[int, RingClient] = {}
        """By port."""
        self.unseen: list[RingClient] = [] if xen is None else [*xen.clients.values()]
        """Those of rule 2."""

    def look(self) -> None:
        """At some that were there before."""
        for ring in self.unseen[-LOOKS:]:
            if not ring.connection.closed:
                self._ready[ring.connection.serial] = ring
        del self.unseen[-LOOKS:]

    def rung(self, xen: Host, fired: Iterator[tuple[int, RingClient | None, bool]]) -> None:
        """Ports have fired, as `Bells` tells."""
        for port, client, again in fired:
            if port == xen.virq:
                lives.scan(self._daemon)
            elif client is not None:
                self._bells.answered(port, self._daemon.flow.now, came=self._rang(client, again=again))

    def _rang(self, client: RingClient, *, again: bool) -> bool:
        """Look at a ring whose guest has told us to; whether there was anything."""
        connection = client.connection
        self.touched[client.port] = client
        waits = len(connection.output)
        if waits:
            client.send()
        received = client.receive()
        if received or again or connection.reader.pending:  # It may have been read when memory ran out.
            self._ready[connection.serial] = client
        elif connection.stalled:  # It has told us once.
            self._stalls.add(client)
        return received or again or len(connection.output) < waits

    def turn_ends(self) -> None:
        """Tell their guests; those of which nobody tells us what came meanwhile are served again in the next turn."""
        for port, ring in [*self.touched.items()]:
            if ring.turn_ends():
                self._ready[ring.connection.serial] = ring
                continue
            del self.touched[port]
            if ring.connection.stalled:  # Of what lies there already nobody tells.
                self._stalls.add(ring)
