"""A host without a process: the simulated hypervisor's own pages and ports, a daemon, and guests that are only bytes.

`Machine.turn` is one turn of the loop, written again from the server's rules, so that an attack is carried out step by
step in the test's own hand: ports are unmasked before their rings are looked at, everybody has one request carried
out a round, then everything is sent and told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.compat.guest import Guest
from tests.daemon.conversation import Peer, fresh_daemon
from xsadapter.engine import lives
from xsadapter.transport.hub import VIRQ, SimulatedXen
from xsadapter.wire import FrameError

if TYPE_CHECKING:
    from pathlib import Path

    from xsadapter.engine.domains import Domain
    from xsadapter.transport.ring import RingClient

OK = b"OK\0"
ROUNDS = 64
_TURNS = 2000


class Machine:
    """Guests come by `guest`, and go by `die`, `release`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.xen = SimulatedXen(directory)
        self.daemon = self.xen.daemon = fresh_daemon(self.xen)
        self.toolstack = Peer(self.daemon)
        self.guests: list[HubGuest] = []

    def close(self) -> None:
        for guest in self.guests:
            guest.close()
        self.xen.close()
        self.daemon.store.close()

    def turn(self, rounds: int = ROUNDS) -> None:
        for port in self.xen.fired():
            self.xen.unmask(port)
            if port == VIRQ:
                lives.scan(self.daemon)
            elif port in self.xen.clients:
                self.xen.clients[port].receive()
        for _ in range(rounds):
            served = [self.step(client) for client in list(self.xen.clients.values())]
            if not any(served):
                break
        self.daemon.flow.resumed.clear()
        self.daemon.flow.make()
        for client in list(self.xen.clients.values()):
            client.send()
            client.turn_ends()
        self.daemon.waiting.clear()

    @staticmethod
    def step(client: RingClient) -> bool:
        try:
            return client.step()
        except FrameError as error:
            client.broke(found=str(error))
            return False

    def guest(self, domid: int, permissions: bytes | None = None) -> HubGuest:
        """Introduce a domain whose home is its own, or has these permissions."""
        home = b"/local/domain/%d\0" % domid
        assert self.toolstack.ask("MKDIR", home) == OK
        assert self.toolstack.ask("SET_PERMS", home + (permissions or b"n%d\0" % domid)) == OK
        made = HubGuest(self, domid)
        self.guests.append(made)
        assert self.toolstack.ask("INTRODUCE", b"%d\x001\x007\0" % domid) == OK
        return made

    def node(self, path: bytes, permissions: bytes, value: bytes = b"") -> None:
        """The toolstack makes a node."""
        assert self.toolstack.ask("WRITE", path + b"\0" + value) == OK
        assert self.toolstack.ask("SET_PERMS", path + b"\0" + permissions) == OK

    def die(self, *domids: int) -> None:
        """The hypervisor has no such domains any more, and says so, once."""
        for domid in domids:
            (self.directory / f"dead.{domid}").touch()
        self.kick(VIRQ)

    def reuse(self, domid: int, unique: int) -> None:
        """Another domain has the number now. The hypervisor says nothing yet."""
        (self.directory / f"dom.{domid}").write_text(f"{unique} running\n")
        (self.directory / f"dead.{domid}").unlink(missing_ok=True)

    def kick(self, port: int) -> None:
        self.guests[0].kick(port)
        self.turn()

    def domain(self, domid: int) -> Domain:
        found = self.daemon.domains.get(domid)
        assert found is not None
        return found

    def told(self) -> list[bytes]:
        """The paths of the toolstack's events."""
        return [path for path, _ in self.toolstack.events()]


class HubGuest(Guest):
    """The other side of a ring; to wait is to let the machine turn."""

    def __init__(self, machine: Machine, domid: int) -> None:
        super().__init__(machine.directory, domid)
        self.machine = machine
        self.turns = 0

    def wait(self, seconds: float) -> None:
        del seconds
        self.turns += 1
        assert self.turns < _TURNS, "the daemon does not answer"
        self.machine.turn()
        super().wait(0)

    def message(self) -> object:
        self.turns = 0
        return super().message()

    @property
    def domain(self) -> Domain:
        return self.machine.domain(self.domid)

    @property
    def ring(self) -> RingClient:
        return self.machine.xen.clients[self.port]

    @property
    def ignored(self) -> bool:
        connection = self.domain.connection
        assert connection is not None
        return connection.ignored

    def begin_anew(self) -> None:
        """By the ring's own protocol."""
        self.words[517] = 1
        self.kick()
        self.machine.turn()
        assert self.words[517] == 0
        self.received, self.queued = b"", []
