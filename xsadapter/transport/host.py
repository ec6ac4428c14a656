"""The hypervisor as loop and recovery have it: simulated (`transport.hub`), or Xen's own devices (`transport.xen`).

Rules
1. A port that fired is masked until `unmask`; whoever unmasks before it looks at the ring misses nothing.
2. Ports here are the daemon's ends of event channels. What a domain is introduced with is its own end.
3. A live update takes `descriptors` along, with the ports that are bound to them; `part` says that it is now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from xsadapter.engine.hypervisor import Hypervisor

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.recovery.journal import Journal
    from xsadapter.transport.ring import RingClient


class Host(Hypervisor, Protocol):
    """What carries the bytes of rings; `daemon` is to be set before any comes."""

    daemon: Daemon
    journal: Journal | None
    """Where the rings that come are written down."""
    clients: dict[int, RingClient]
    """By port."""

    @property
    def virq(self) -> int:
        """The port that fires when some domain has changed."""
        ...

    @property
    def control_port(self) -> int | None:
        """Domain 0's end of its own ring's event channel, if that ring is to be served from the start."""
        ...

    def descriptors(self) -> tuple[int, ...]:
        """What to poll for reading; the first is what ports are bound to."""
        ...

    def fired(self) -> list[int]:
        """The ports that fired, each masked from now on."""
        ...

    def unmask(self, port: int) -> bool:
        """Let a port fire again; whether it has already, and is not told of by `fired`."""
        ...

    def client(self, connection: Connection) -> RingClient | None:
        """The ring of a connection, if it has one."""
        ...

    def part(self, *, leaving: bool) -> None:
        """Another program takes the ports over, or, not `leaving`, it did not; OSError."""
        ...

    def close(self) -> None:
        """Let go of every ring."""
        ...
