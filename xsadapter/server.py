"""The only event loop: it moves bytes between clients and the state machine, and keeps the store's timer.

Rules
1. Between two polls there are rounds in memory; in each, every connection that has a complete
   request gets exactly one carried out, and those of a guest, its ring and its confined sockets, one together, so
   nobody can starve the others. After at most 64 rounds, or one of guests alone, everything is sent and polled again.
2. One send a connection, and one notification a ring, at the end of the rounds: whoever is sent something is woken,
   and takes the core. Plain READs and WRITEs (`engine.plain`) of a client of a socket are carried out as they come,
   without a round: one of each client, or 64 of one if nobody else has anything.
3. Who is let in: `transport.listener`. When the store is ticked: `ticking`. What is due when: `timers`.
4. A signal (`signals`) ends the loop between two polls; `close` then stores what was answered.
5. Only rings whose port fired (`bells`) or which have something to send are touched (`rings`).

The cyclic collector is off: over a heap of half a million nodes one pass takes a second, and the
state machine breaks its circles itself. The loop touches only what is ready, so idle clients cost nothing.
"""

from __future__ import annotations

import gc
import logging
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from xsadapter.bells import Bells
from xsadapter.engine.plain import in_a_row
from xsadapter.errands import EachSecond, Errands
from xsadapter.reporting import report, write_down
from xsadapter.rings import Rings
from xsadapter.rounds import ROUNDS, go_round
from xsadapter.signals import Signals
from xsadapter.stalls import Stalls
from xsadapter.ticking import Ticking
from xsadapter.timers import Timers
from xsadapter.transport.listener import Listeners
from xsadapter.transport.ring import RingClient
from xsadapter.transport.stream import StreamClient
from xsadapter.wire import FrameError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from socket import socket

    from xsadapter.audit import Audit
    from xsadapter.engine.daemon import Daemon
    from xsadapter.recovery.going_on import GoingOn
    from xsadapter.transport.host import Host
    from xsadapter.transport.listener import Listener

_log = logging.getLogger("xsadapter")

_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT
_GONE: Final = select.EPOLLHUP | select.EPOLLERR

_EVENTS: Final = 512
_EXPIRY: Final = 1.0
_CALM: Final = 0.01

Client = StreamClient | RingClient


class Server:
    """The loop. `each_second` is called about once a second, if given, with the monotonic time."""

    def __init__(
        self,
        daemon: Daemon,
        listeners: Sequence[Listener],
        each_second: Callable[[float], None] | None = None,
        xen: Host | None = None,
        audit: Audit | None = None,
        clients: Sequence[StreamClient] = (),
        errands: Errands | None = None,
        going_on: GoingOn | None = None,
    ) -> None:
        """`clients`: those who were there before the daemon was started again, as are the rings that `xen` has."""
        self._daemon, self._xen, self._audit = daemon, xen, audit
        self._errands, self._going_on = errands or Errands(), going_on
        self._epoll = select.epoll()
        self._listeners = Listeners(self._epoll, listeners)
        self._ticking = Ticking(daemon)
        self._clients: dict[int, StreamClient] = {}
        self._of: dict[int, StreamClient] = {}
        self._ready: dict[int, Client] = {}
        self._stalls, self._bells = Stalls(daemon.domains), Bells()
        self._rings = Rings(daemon, xen, self._ready, self._stalls, self._bells)
        self._signals = Signals(shown=each_second is not None)
        if each_second is not None:
            self._errands.add(EachSecond(each_second))
        self._patience = 0.0
        """Seconds that the next poll may last; -1 is for ever."""
        self._calm = (
            0.0  # until when nothing is due, and plain requests of one client may be all that there is to a turn
        )
        self._timers = Timers(self, daemon, self._listeners, self._ticking, self._errands, self._bells)
        for descriptor in xen.descriptors() if xen is not None else ():
            self._epoll.register(descriptor, _IN)
        if going_on is not None:
            going_on.watch(self._epoll)
        for known in clients:
            self._enter(known)
            # Whether something came meanwhile, nobody tells.
            self._ready[known.connection.serial] = known

    @property
    def clients(self) -> list[StreamClient]:
        """Those of sockets."""
        return [*self._clients.values()]

    def listen(self, listener: Listener, socket: socket) -> None:
        """Have a listener listen at another socket."""
        self._listeners.replace(listener, socket)

    def stop(self) -> None:
        """Have `run` return after what it is at."""
        self._signals.stopping = True

    def run(self, ready: Callable[[], None]) -> None:
        """Serve, in the main thread, until `stop`, SIGTERM or SIGINT; `ready` is called when signals are heeded."""
        with self._signals.heeded(self._epoll):
            gc.freeze()
            gc.disable()
            self._daemon.flow.now = self._daemon.metrics.began = time.monotonic()
            try:
                ready()
                while not self._signals.stopping:
                    try:
                        self._once()
                    except MemoryError:
                        self._daemon.relieve()
                        self._patience = self._calm = 0.0
            finally:
                gc.enable()

    def close(self) -> None:
        """Send what can be sent, end every connection, and store what was answered."""
        for client in list(self._clients.values()):
            self._send(client)
            self._end(client)
        if self._going_on is not None:
            self._going_on.close()
        report(self._daemon.notices)
        self._write_down()
        self._epoll.close()
        self._signals.close()
        self._ticking.last()

    def _once(self) -> None:
        fired = self._epoll.poll(self._patience, _EVENTS)
        daemon, ready = self._daemon, self._ready
        flow = daemon.flow
        now = flow.now = time.monotonic()
        busy, plain = fired or ready or flow.resumed, False
        for ring in self._rings.touched.values():
            # There is room by now for what there was none for at the end of the last turn.
            ring.send()
        most = 1 if ready or len(fired) > 1 else ROUNDS
        for descriptor, events in fired:
            client = self._clients.get(descriptor)
            if client is None:
                self._other(descriptor)
            elif events == _IN and client.connection.serial not in ready:
                plain = self._received(client, most)
            else:
                self._handle(client, events)
        if (
            plain
            and now < self._calm
            and len(fired) == len(flow.waiting) == 1
            and not (flow.touched.any or flow.trail.records)
        ):
            # Plain requests of one client, and nothing else: the rest of a turn is for whom there is more.
            connection = flow.waiting[0]
            self._flush()
            if not (connection.closed or connection.output):
                journal = daemon.head.journal
                if journal is not None and journal.announced:
                    journal.told()
                daemon.metrics.turns.took(time.monotonic() - now)
                return
        if self._rings.unseen:
            self._rings.look()
        if self._bells.left and self._xen is not None:
            self._rings.rung(self._xen, self._bells.fired(self._xen, flow.now))
        if self._bells.wake is not None and flow.now >= self._bells.wake and self._xen is not None:
            self._rings.rung(self._xen, self._bells.rested(self._xen, flow.now))
        if daemon.turns.held:
            daemon.turns.expire()
        if flow.resumed:
            self._resume()
        if ready:
            go_round(ready, self._step)
        if flow.making:
            flow.make()
        journal = daemon.head.journal
        if journal is not None and flow.touched.any:
            journal.persist()
        if flow.trail.records:
            # Before the answers: what was answered is in the audit log though the daemon is killed.
            self._write_down()
        if flow.waiting:
            self._flush()
        if self._timers.expire_at is not None and time.monotonic() >= self._timers.expire_at:
            self._timers.expire_at = time.monotonic() + _EXPIRY if daemon.expire() else None
            self._stalls.tidy()
        if daemon.domains.eased:
            for eased in self._stalls.ended():
                ready[eased.connection.serial] = eased
        if flow.ended:
            self._let_go()
        if self._rings.touched:
            self._rings.turn_ends()
        if journal is not None:
            journal.flushed()
        if flow.notices:
            report(flow.notices)
        if flow.trail.records or self._signals.reopening:
            self._write_down()
        patience = self._timers.turn(time.monotonic(), bool(busy))
        due = ready or flow.waiting or flow.resumed or flow.making or flow.ended or daemon.domains.eased
        self._patience = 0.0 if due or self._rings.unseen else patience  # Whatever it came about by.
        more = self._rings.touched or daemon.turns.held or self._bells.wake is not None or not self._patience
        self._calm = 0.0 if more else now + (_CALM if patience < 0 else min(patience, _CALM))

    def _other(self, descriptor: int) -> None:
        """Something fired that is no client of a socket."""
        xen = self._xen
        if (listener := self._listeners.get(descriptor)) is not None:
            self._accept(listener)
        elif xen is not None and descriptor in xen.descriptors():
            self._rings.rung(xen, self._bells.fired(xen, self._daemon.flow.now))
        elif self._going_on is None or not self._going_on.fired(descriptor):
            self._signals.woke(descriptor)

    def _accept(self, listener: Listener) -> None:
        for client in self._listeners.entering(listener, self._daemon):
            if self._going_on is not None:
                self._going_on.entered(client)
            try:
                self._enter(client)
            except OSError as error:  # The poll takes no more.
                _log.error("%s is sent away: %s", client.connection.author, error)
                self._end(client)

    def _enter(self, client: StreamClient) -> None:
        self._clients[client.socket.fileno()] = client
        self._of[client.connection.serial] = client
        self._epoll.register(client.socket, client.interest)

    def _handle(self, client: StreamClient, events: int) -> None:
        if events & _OUT:
            self._send(client)
        if client.connection.serial in self._ready:
            # It has requests left from the last rounds; what it sent since, its end included, comes after them.
            return
        if events & _IN:
            self._received(client, 1)
        elif events & _GONE:
            self._end(client)

    def _received(self, client: StreamClient, most: int) -> bool:
        """Take what has come of a client, and its turn in the first round; whether that was plain requests alone."""
        received, connection = client.receive(), client.connection
        if received is None:
            self._end(client)
        elif received and not client.confined and in_a_row(self._daemon, connection, most):
            if connection.reader.at == len(connection.reader.buffer):
                return True
            self._ready[connection.serial] = client
        # The first round: one request as it arrives. Those who share their turns come in the next.
        elif received and (client.confined or (self._step(client) and connection.reader.pending)):
            self._ready[connection.serial] = client
        return False

    def _resume(self) -> None:
        """Those whose request had to wait try again."""
        resumed = self._daemon.flow.resumed
        for connection in resumed:
            client: Client | None = self._of.get(connection.serial)
            if client is None and self._xen is not None and not connection.closed:
                client = self._xen.client(connection)
            if client is not None:
                self._ready[connection.serial] = client
        resumed.clear()  # Not before: memory may run out on the way.

    def _step(self, client: Client) -> bool:
        """One request of a client, if it has a complete one and takes what it is sent."""
        connection = client.connection
        try:
            done = client.step()
        except FrameError as error:
            if isinstance(client, RingClient):
                client.broke(found=str(error))
            else:
                self._daemon.broke(connection, str(error))
                self._send(client)
                self._end(client)
            return False
        if connection.closed:
            return False
        if client.__class__ is RingClient:
            self._rings.touched[client.port] = client
        elif not done and (client.left or client.interest != _IN or client.confined or connection.held is not None):  # type: ignore[union-attr]  # likewise
            self._mind(client)  # type: ignore[arg-type]  # it is a StreamClient
        if not connection.privileged and connection.stalled:
            self._stalls.add(client)
        return done

    def _mind(self, client: StreamClient) -> None:
        """Have the poll look for what the client is to be looked at for."""
        wanted = client.wanted
        if wanted != client.interest:
            client.interest = wanted
            self._epoll.modify(client.socket, wanted)

    def _flush(self) -> None:
        """Send to everyone for whom something waits."""
        waiting, xen = self._daemon.flow.waiting, self._xen
        for connection in waiting:
            client = self._of.get(connection.serial)
            if client is not None:
                if client.backlog or client.confined or client.interest != _IN:
                    if not client.interest & _OUT:
                        self._send(client)
                elif not client.send():
                    self._end(client)
                elif client.left or connection.held is not None:
                    self._mind(client)
                if client.confined and connection.output and self._timers.expire_at is None:
                    self._timers.expire_at = time.monotonic() + _EXPIRY
            elif xen is not None and not connection.closed:
                ring = xen.client(connection)
                if ring is not None:
                    self._rings.touched[ring.port] = ring
                    if not ring.send() and self._timers.expire_at is None:
                        self._timers.expire_at = time.monotonic() + _EXPIRY
        waiting.clear()

    def _let_go(self) -> None:
        """Close the sockets of those whose domain has ended."""
        ended = [*self._daemon.flow.ended]
        for connection in ended:
            client = self._of.get(connection.serial)
            if client is not None:
                self._end(client)
        del self._daemon.flow.ended[: len(ended)]

    def _send(self, client: StreamClient) -> None:
        backlog = client.backlog
        if not client.send():
            self._end(client)
            return
        if client.left or client.interest != _IN or client.confined or client.connection.held is not None:
            self._mind(client)
        if backlog and not client.backlog:
            self._ready[client.connection.serial] = client

    def _end(self, client: StreamClient) -> None:
        descriptor = client.socket.fileno()
        if descriptor < 0:
            return
        with suppress(OSError):
            self._epoll.unregister(descriptor)
        del self._clients[descriptor]
        del self._of[client.connection.serial]
        self._ready.pop(client.connection.serial, None)
        self._stalls.forget(client)
        if self._going_on is not None:
            self._going_on.gone(client)
        client.socket.close()
        self._daemon.disconnect(client.connection)
        self._listeners.left(client)

    def _write_down(self) -> None:
        write_down(self._daemon.flow.trail, self._audit, reopening=self._signals.reopening)
        self._signals.reopening = False
