"""What the state machine asks of the hypervisor, and the answer where there is none.

Rule: identity and life of domains come from here alone, never from what a client says. A unique id
tells a domain from another one that had its number before. The transports implement the Protocol:
simulated rings, Xen's own devices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from xsadapter.engine.connection import Connection

FIRST_RESERVED: Final = 0x7FF0
"""Domids from here up name no domain."""


@dataclass(frozen=True, slots=True)
class Life:
    """A domain as the hypervisor sees it now."""

    unique: int
    """Never given twice, other than the domid."""
    shutdown: bool = False
    """It has shut down or crashed, and still exists."""
    dying: bool = False
    """It is being torn down: no request of it counts any more, though its memory is not all free."""


class Hypervisor(Protocol):
    """The outside of domains: whether they live, and their rings."""

    def life(self, domid: int) -> Life | None:
        """None if there is no such domain."""
        ...

    def living(self, domids: Collection[int]) -> Mapping[int, Life]:
        """Those of them that there are, looked at together."""
        ...

    def connect(self, connection: Connection, port: int, features: int) -> None:
        """Map the domain's ring and bind its event channel; OSError if that cannot be done, and nothing is left.

        `features` is what the ring page is to say; from then on the ring's bytes are the connection's. Whatever port
        Xen has chosen instead becomes the connection's.
        """
        ...

    def resume(self, connection: Connection, indexes: tuple[int, int] | None = None) -> None:
        """As `connect`, of a ring that was served before: it goes on as it is, nothing in its page is changed.

        The connection's `let_go`, `written` and `logged` are then what its indexes are; or else `indexes` says what
        ours, of requests and of responses, are to be, and the page may be mapped when it is touched.
        """
        ...

    def rebind(self, connection: Connection, port: int) -> None:
        """The domain is introduced again: another event channel, the ring begins anew; OSError."""
        ...

    def disconnect(self, connection: Connection) -> None:
        """Unbind and unmap; the connection gets no byte any more."""
        ...


def each(life: Callable[[int], Life | None], domids: Collection[int]) -> dict[int, Life]:
    """`Hypervisor.living` where each is asked for by itself."""
    return {domid: found for domid in domids if (found := life(domid)) is not None}


class Alone:
    """No hypervisor: every domid may be named, none can be introduced."""

    def life(self, domid: int) -> Life | None:
        """Any number that could be a domain's exists."""
        return Life(0) if domid < FIRST_RESERVED else None

    def living(self, domids: Collection[int]) -> Mapping[int, Life]:
        """See `life`."""
        return each(self.life, domids)

    def connect(self, connection: Connection, _port: int, _features: int) -> None:
        """There are no rings."""
        raise OSError(f"no hypervisor: the ring of domain {connection.domid} cannot be mapped")

    def resume(self, connection: Connection, indexes: tuple[int, int] | None = None) -> None:  # noqa: ARG002 - no ring
        """As `connect`."""
        self.connect(connection, 0, 0)

    def rebind(self, connection: Connection, port: int) -> None:
        """As `connect`."""
        self.connect(connection, port, 0)

    def disconnect(self, connection: Connection) -> None:
        """There is nothing to let go of."""
