"""The real hypervisor: rings that domains have granted, event channels of /dev/xen/evtchn, lives by hypercall.

Rules
1. A domain's ring is its grant 1 (GNTTAB_RESERVED_XENSTORE): the toolstack puts it there before INTRODUCE.
2. Domain 0's ring is its kernel's own, and its clients are processes of the host: it is never begun anew from
   here, but goes on at the indexes that it has; that it is told of then is what its kernel waits for.
3. The event channel's other end is the port that Xen wrote into the page for a domain it made itself, or else the one
   that INTRODUCE named. The page is asked at the first introduction alone: later the guest has written there.
4. What the kernel lets go of when a daemon is killed is bound and mapped again; what guests sent meanwhile has
   told nobody, so every ring is looked at.
5. A ring is unmapped though the unbinding of its port fails: a domain whose page is mapped does not end.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from xsadapter.engine.ring import Ring
from xsadapter.transport.devices import VIRQ_DOM_EXC, EventChannels, Grants, OwnRing
from xsadapter.transport.domctl import DomainStates
from xsadapter.transport.ring import RingClient
from xsadapter.transport.system import Linux
from xsadapter.transport.unmapped import unmapped

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.hypervisor import Life
    from xsadapter.recovery.journal import Journal
    from xsadapter.transport.system import System

_log = logging.getLogger("xsadapter")

_REFERENCE: Final = 1


class _Mapped(Protocol):
    """A ring's page, of whatever device."""

    bytes: memoryview

    def close(self, ring: Ring | None = None) -> None: ...


@dataclass(slots=True)
class _Served:
    """A domain's ring: without a page it is not mapped yet, without a client its channel is not bound."""

    page: _Mapped | None = None
    ring: Ring | None = None
    client: RingClient | None = None

    def map(self, page: _Mapped) -> Ring:
        """It lies there."""
        self.page, self.ring = page, Ring(page.bytes)
        return self.ring

    def close(self) -> None:
        """Unmap it; OSError."""
        if self.page is not None:
            self.page.close(self.ring)


class Xen:
    """The hypervisor of the host; implements `transport.host.Host`."""

    def __init__(
        self, system: System | None = None, events: int | None = None, ports: Mapping[int, int] | None = None
    ) -> None:
        """Open the devices, or take the event channels of the process before; DeviceError, OSError.

        `events` is its descriptor then, and `ports` what is bound there, by the connection's serial number.
        """
        system = system or Linux()
        self.daemon: Daemon
        self.journal: Journal | None = None
        self.clients: dict[int, RingClient] = {}
        self._served: dict[int, _Served] = {}
        """By domid."""
        self._ports = dict(ports or {})
        with ExitStack() as undo:
            self._own = OwnRing(system)
            undo.callback(self._own.close)
            self._states = DomainStates(system)
            undo.callback(self._states.close)
            self._grants = Grants(system)
            undo.callback(self._grants.close)
            self._events = EventChannels(system, events)
            undo.callback(self._events.close)
            self._virq = self._events.bind_virq(VIRQ_DOM_EXC)
            self._undo = undo.pop_all()

    @property
    def virq(self) -> int:
        """See Host."""
        return self._virq

    @property
    def control_port(self) -> int | None:
        """See Host."""
        return self._own.port

    @property
    def interface(self) -> int:
        """The version of the hypervisor's interface for domains; 0 is the stable one."""
        return self._states.version

    def descriptors(self) -> tuple[int, ...]:
        """See Host."""
        return (self._events.descriptor,)

    def fired(self) -> list[int]:
        """See Host."""
        found = self._events.fired()
        return [self._virq, *self.clients] if found is None else found

    def unmask(self, port: int) -> bool:
        """See Host: what came meanwhile fires again."""
        self._events.unmask(port)
        return False

    def life(self, domid: int) -> Life | None:
        """See Hypervisor."""
        return self._states.life(domid)

    def living(self, domids: Collection[int]) -> dict[int, Life]:
        """See Hypervisor."""
        return self._states.living(domids)

    def connect(self, connection: Connection, port: int, features: int) -> None:
        """See Hypervisor."""
        client = self._serve(connection, port, first=True)
        if connection.domid == 0:
            client.join(features)
        else:
            client.begin(features)

    def resume(self, connection: Connection, indexes: tuple[int, int] | None = None) -> None:
        """See Host."""
        self._serve(connection, connection.port, later=indexes is not None).resume(indexes)

    def rebind(self, connection: Connection, port: int) -> None:
        """See Hypervisor; if the new channel cannot be bound, the ring is told of nothing any more."""
        served = self._served.get(connection.domid)
        if served is not None:
            self._unbind(served)
        self._serve(connection, port).begin(connection.domain.features)

    def disconnect(self, connection: Connection) -> None:
        """See Hypervisor."""
        served = self._served.pop(connection.domid, None)
        if served is not None:
            self._unbind(served)
            try:
                served.close()
            except OSError as error:
                _log.error("the ring of domain %d cannot be unmapped: %s", connection.domid, error)

    def client(self, connection: Connection) -> RingClient | None:
        """See Host."""
        served = self._served.get(connection.domid)
        found = None if served is None else served.client
        return found if found is not None and found.connection is connection else None

    def _serve(self, connection: Connection, port: int, *, first: bool = False, later: bool = False) -> RingClient:
        """The ring, mapped and bound; OSError, and what was not mapped before is not mapped.

        `first`: it is introduced (rule 3). `later`: it is mapped when it is touched (`transport.unmapped`).
        """
        domid = connection.domid
        served = self._served.get(domid) or _Served()
        if served.ring is None and not later:
            self._map(domid, served)
        try:
            local = self._ports.pop(connection.serial, None)
            if local is None:
                if first and served.ring is not None:
                    port = connection.port = served.ring.port or port
                local = self._events.bind(domid, port)
            elif not later:
                # Another's stream says our end alone; the other is what it takes to bind it again.
                connection.port = self._states.other_end(local)
        except OSError:
            if domid not in self._served:
                served.close()
            raise
        self._served[domid] = served
        served.client = self.clients[local] = RingClient(self.daemon, connection, served.ring, local, self.notify)
        if served.ring is None:
            served.client.ring = unmapped(served.client, partial(self._map, domid, served))
        served.client.journal = self.journal
        return served.client

    def _map(self, domid: int, served: _Served) -> Ring:
        return served.map(self._own.map() if domid == 0 else self._grants.map(domid, _REFERENCE))

    def _unbind(self, served: _Served) -> None:
        if served.client is not None:
            port, served.client = served.client.port, None
            del self.clients[port]
            with suppress(OSError):
                self._events.unbind(port)

    def notify(self, port: int) -> None:
        """Tell the other end of a port that its ring has moved; one that has gone is not told."""
        with suppress(OSError):
            self._events.notify(port)

    def part(self, *, leaving: bool) -> None:
        """See Host: whoever takes over binds the VIRQ itself, as C xenstored does."""
        if leaving:
            self._events.unbind(self._virq)
        else:
            self._virq = self._events.bind_virq(VIRQ_DOM_EXC)

    def close(self) -> None:
        """See Host."""
        for client in list(self.clients.values()):
            self.disconnect(client.connection)
        self._undo.close()
