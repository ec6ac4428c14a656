"""A ring that is served already and whose page is not mapped yet.

Rule: a daemon that goes on with ten thousand rings serves before it has mapped them. Each is mapped when it is touched
first, which the loop does within its next turns (`server`), or sooner if its port fires or it is told something. Where
its indexes are is known from what was written down; they are set when it is mapped. One that cannot be mapped is a page
of zeros that has vanished: its guest is told nothing, and is ignored, as one that broke its ring.

Cost: nothing once it is mapped, as it stands in the ring's place no more.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, cast

from xsadapter.engine.ring import PAGE, Ring

if TYPE_CHECKING:
    from collections.abc import Callable

    from xsadapter.transport.ring import RingClient

_log = logging.getLogger("xsadapter")

_GONE: Final = (0, 0)


def unmapped(client: RingClient, mapped: Callable[[], Ring]) -> Ring:
    """What stands in the place of a client's ring until it is touched; `mapped` maps it, OSError."""
    return cast("Ring", _Unmapped(client, mapped))


class _Unmapped:
    __slots__ = ("_client", "_indexes", "_mapped")

    def __init__(self, client: RingClient, mapped: Callable[[], Ring]) -> None:
        self._client, self._mapped = client, mapped
        self._indexes = _GONE

    def resume(self, consumer: int, producer: int) -> None:
        """See Ring; not before there is a page."""
        self._indexes = consumer, producer

    def release(self) -> None:
        """See Ring."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._map(), name)

    def _map(self) -> Ring:
        try:
            ring = self._mapped()
        except OSError as error:
            _log.warning("the ring of domain %d cannot be mapped again: %s", self._client.connection.domid, error)
            ring = Ring(memoryview(bytearray(PAGE)), lambda: True)
        else:
            ring.resume(*self._indexes)
        self._client.ring = ring
        return ring
