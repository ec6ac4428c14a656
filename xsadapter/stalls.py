"""Guests that are not read: for what they have outstanding, or in memory, or are behind with.

Rule: whatever ends that may be others' doing, and is told by their domain (`Domain.ease`); until then nobody looks at
them, however many they are: a hundred that were looked at each turn took as long as a READ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    from xsadapter.engine.domains import Domains
    from xsadapter.transport.ring import RingClient
    from xsadapter.transport.stream import StreamClient

    Client: TypeAlias = StreamClient | RingClient


class Stalls:
    """A server's."""

    def __init__(self, domains: Domains) -> None:
        self._domains = domains
        self._clients: dict[int, Client] = {}

    def add(self, client: Client) -> None:
        """Not to be read now."""
        self._clients[client.connection.serial] = client
        client.connection.domain.stalls = True

    def forget(self, client: Client) -> None:
        """It has gone; if it was not here, that is no error."""
        self._clients.pop(client.connection.serial, None)

    def tidy(self) -> None:
        """Forget those that have gone without a word, as rings do."""
        self._clients = {at: client for at, client in self._clients.items() if not client.connection.closed}

    def ended(self) -> list[Client]:
        """Those that may be read again. O(clients of the domains that were eased)."""
        eased = [*self._domains.eased.values()]
        self._domains.eased.clear()  # Not another one: each domain has this.
        found = []
        for domain in eased:
            domain.stalls = False
            for connection in (domain.connection, *domain.clients):
                client = None if connection is None else self._clients.pop(connection.serial, None)
                if client is not None and client.connection.stalled:
                    self.add(client)
                elif client is not None:
                    found.append(client)
        return found
