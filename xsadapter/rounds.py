"""Rounds: who is served next, among those who have sent more than one request.

Rule: in each round everyone gets one request carried out, but of those who share their turns, as they are of one
domain, one together. After at most 64 rounds, or one of guests alone, everything is sent and polled again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from xsadapter.transport.ring import RingClient
    from xsadapter.transport.stream import StreamClient

    Client: TypeAlias = StreamClient | RingClient

ROUNDS: Final = 64


def go_round(ready: dict[int, Client], step: Callable[[Client], bool]) -> None:
    """Serve those who are ready; `step` says whether it has carried out a request. Who has none left is taken out."""
    if len(ready) == 1:
        _alone(ready, *ready.popitem(), step)
        return
    for _ in range(ROUNDS):
        served: set[int] = set()
        alone = True
        for serial, client in list(ready.items()):
            if client.confined:
                if client.connection.domid in served or ready.pop(serial, None) is None:
                    continue
                served.add(client.connection.domid)
                if step(client):
                    # Behind the others of its domain.
                    ready[serial] = client
            else:
                alone = False
                if not step(client):
                    ready.pop(serial, None)
        if alone or not ready:
            return


def _alone(ready: dict[int, Client], serial: int, client: Client, step: Callable[[Client], bool]) -> None:
    """The same, where nobody else is."""
    for _ in range(1 if client.confined else ROUNDS):
        if not step(client):
            return
    ready[serial] = client
