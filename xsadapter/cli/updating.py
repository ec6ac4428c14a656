"""The shell's part of a live update (`engine.update`): looking at the program, and becoming it.

Rules
1. A program is looked at while everybody is served: with `--help` it must end with status 0. If what it then says names
   --check-takeover it is of our code, and is run once more with that option and a state as it would get: it must
   understand its command line and that state.
2. Another program gets version 1 of the stream unless the request names 2: C xenstored 4.17 knows no other.
   It also ends at a node of domain 0's if the stream has no ring of that: whoever has rings must have that one.
   Between our own code the tree stays in the store, which is left as a kill would leave it: nothing that was
   answered is missing. To another program, and from a store in memory, the tree goes in the stream.
3. The process becomes the program: its number, descriptors and clients stay. Up to that moment everything can fail and
   this daemon goes on; a store is never closed before.
"""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.cli import heritage
from xsadapter.cli.notify import notify, reloading
from xsadapter.engine.state import describe
from xsadapter.engine.update import Stage
from xsadapter.signals import replaced
from xsadapter.stream import StreamError
from xsadapter.stream.outgoing import Carriers, told
from xsadapter.wire import OK, pack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xsadapter.cli.serving import Settings
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.state import State
    from xsadapter.recovery.going_on import GoingOn
    from xsadapter.server import Server
    from xsadapter.stream import Record
    from xsadapter.transport.host import Host
    from xsadapter.transport.listener import Listener

_log = logging.getLogger("xsadapter")

CHECK: Final = "--check-takeover"
COLUMNS: Final = "in columns too"
"""What a program's --help says that reads `engine.columns`; those before it took a state for one without rings."""
_MEMORY: Final = "--memory"
_PATIENCE: Final = 120.0
"""Seconds that a program has to be looked at: of a host that is busy, since everybody is served meanwhile."""
_AGAIN: Final = 0.02
_CUT: Final = 200


class _Look:
    """A program that runs to be looked at."""

    def __init__(self, words: list[str], where: str) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the program
        self._until = time.monotonic() + _PATIENCE
        try:
            self._process = subprocess.Popen(
                words, cwd=where, stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said
            )
        except BaseException:
            self._said.close()
            raise

    def ended(self) -> tuple[int, str] | None:
        """Its status and what it said, once it has ended or its time is over."""
        status = self._process.poll()
        if status is None:
            if time.monotonic() < self._until:
                return None
            self._process.kill()
            self._process.wait()
            status = -1
            self._said.write(f"\nnot at an end after {_PATIENCE:.0f} seconds".encode())
        self._said.seek(0)
        with self._said:
            return status, self._said.read(1 << 16).decode(errors="replace")

    def stop(self) -> None:
        """Nobody wants to know any more."""
        self._process.kill()
        self._process.wait()
        self._said.close()


class Updating:
    """One for a server: an errand, as long as there is an update."""

    def __init__(
        self,
        daemon: Daemon,
        settings: Settings,
        listeners: list[Listener],
        xen: Host | None,
        going_on: GoingOn | None = None,
    ) -> None:
        self._daemon, self._settings, self._listeners, self._xen = daemon, settings, listeners, xen
        self._going_on = going_on
        self._look: _Look | None = None
        self._ours = self._columns = False
        """Whether the program is of our code, and whether it knows a state in columns."""
        self._again = 0.0

    @property
    def at(self) -> float | None:
        """See Errand."""
        return self._again if self._daemon.update.active or self._look is not None else None

    def turn(self, server: Server) -> None:
        """Go on with the update, if there is one; does not return if it succeeds."""
        update = self._daemon.update
        if not update.active:
            if self._look is not None:
                self._look.stop()
                self._look = None
            return
        self._again = time.monotonic() + _AGAIN
        try:
            if update.stage is Stage.CHOSEN:
                self._inspect(server)
            else:
                self._start(server)
        except (OSError, StreamError, rrdstore.StoreError) as error:
            _log.error("no live update: %s", error)
            update.fail(self._daemon, str(error))

    def _inspect(self, server: Server) -> None:
        update, settings = self._daemon.update, self._settings
        if self._look is None:
            if not os.access(update.program, os.X_OK) or not Path(update.program).is_file():
                raise OSError(f"{update.program}: expected a program that can be run")
            self._ours = False
            chosen = settings.words if update.words is None else update.words
            self._look = _Look([update.program, *chosen, "--help"], settings.began_in)
            return
        ended = self._look.ended()
        if ended is None:
            return
        self._look = None
        status, said = ended
        if self._ours:
            self._trial.unlink(missing_ok=True)
        if status:
            raise OSError(f"{update.program} ended with status {status}: {said.strip()[-_CUT:]}")
        if not self._ours and CHECK in said:
            self._ours, self._columns = True, COLUMNS in " ".join(said.split())
            heritage.write(self._trial, self._records(server, 2, whole=False, ours=True), 2)
            words = [update.program, *self._words(), CHECK, str(self._trial)]
            self._look = _Look(words, settings.began_in)
            return
        update.accept(self._daemon, ours=self._ours)

    @property
    def _trial(self) -> Path:
        return self._settings.rundir / f"{heritage.NAME}.trial"

    def _words(self) -> list[str]:
        chosen = self._daemon.update.words
        words = list(self._settings.words if chosen is None else chosen)
        return words if {"-U", "--live-update"} & set(words) else [*words, "-U"]

    def _start(self, server: Server) -> None:
        daemon, update, flow = self._daemon, self._daemon.update, self._daemon.flow
        if flow.ended or flow.waiting or flow.touched.any:
            return  # A tick or another errand has just done something: the next turn sends it, and writes it down.
        hindrance = update.hindrance(daemon)
        if hindrance is not None:
            if time.monotonic() - update.began >= update.timeout:
                update.fail(daemon, hindrance)
            return
        if daemon.troubles.mending:
            raise OSError("the store is being mended by a process of this one: ask again when that is done")
        own = daemon.domains.record(0)
        if self._xen is not None and not (update.ours or own.introduced):
            raise OSError("domain 0 has no ring, and C xenstored needs it: expected a daemon that was given --event")
        self._become(server)

    def _become(self, server: Server) -> None:
        settings, update = self._settings, self._daemon.update
        lossy = self._daemon.troubles.lossy(self._daemon.store.info())
        # Other words may mean another store; who keeps nothing has no use for what is kept beside this one either.
        other = update.words is not None and tuple(update.words) != settings.words
        forgets = _MEMORY in self._words()
        whole = not update.ours or settings.store.path is None or lossy or other
        version = 2 if update.ours else update.version or 1
        path = settings.rundir / heritage.NAME
        ring = None if self._xen is None or update.owner is None else self._xen.client(update.owner)
        if ring is not None:
            # Its request, which is answered by the state, is not to be read there again.
            ring.let_go()
        records = self._records(server, version, whole=whole, ours=update.ours, answer=True, goes_on=not forgets)
        # The next program has read such a state of ours just now.
        heritage.write(path, records, version, again=whole)
        words = [update.program, *self._words()]
        environment = dict(os.environ)
        if not update.ours:
            environment |= {"XENSTORED_RUNDIR": str(settings.rundir), "XENSTORED_ROOTDIR": str(settings.rundir)}
        descriptors = self._descriptors(server)
        _log.info("live update: becoming %s", " ".join(words))
        reloading()
        here = Path.cwd()
        keeping = None if update.ours and not forgets else self._going_on
        try:
            if keeping is not None:
                keeping.leave()
            if self._xen is not None:
                self._xen.part(leaving=True)
            heritage.leave_open(descriptors, stay=True)
            os.chdir(settings.began_in)
            with replaced():
                os.execve(update.program, words, environment)
        except OSError:
            os.chdir(here)
            heritage.leave_open(descriptors, stay=False)
            path.unlink(missing_ok=True)
            if self._xen is not None:
                self._xen.part(leaving=False)
            if keeping is not None:
                keeping.stay(server.clients)
            notify("READY=1")
            raise

    def _records(
        self,
        server: Server,
        version: int,
        *,
        whole: bool,
        ours: bool,
        answer: bool = False,
        goes_on: bool = False,
    ) -> Iterable[Record]:
        daemon = self._daemon
        state = describe(daemon, handed=ours, columns=ours and self._columns)
        if answer:
            state = self._answered(state)
        tree = daemon.head.tree if whole else None
        carriers = self._carriers(server)
        if goes_on and ours and not whole and self._going_on is not None:
            far = max((ring.moved for ring in self._xen.clients.values()), default=0) if self._xen is not None else 0
            carriers = replace(carriers, generation=self._going_on.generation, far=far)
        return told(state, carriers, tree, str(daemon.branch.head.id) if ours else None, version)

    def _answered(self, state: State) -> State:
        """With the OK to who asked for the update among what is to be sent, and his request no more waiting."""
        owner = self._daemon.update.owner
        if owner is None or owner.held is None:
            return state
        kind, request, transaction, _ = owner.held
        waiting = pack(*owner.held)
        reply = pack(kind, request, transaction, OK)
        clients = tuple(
            replace(client, input=client.input[len(waiting) :], output=(*client.output, reply))
            if client.serial == owner.serial
            else client
            for client in state.connections
        )
        return replace(state, connections=clients)

    def _carriers(self, server: Server) -> Carriers:
        own = next((each for each in self._listeners if each.confined is None), None)
        xen = self._xen
        events, pipe = (*xen.descriptors(), None, None)[:2] if xen is not None else (None, None)
        return Carriers(
            own.socket.fileno() if own is not None else None,
            events,
            pipe,
            {client.connection.serial: client.socket.fileno() for client in server.clients},
            {ring.connection.serial: port for port, ring in xen.clients.items()} if xen is not None else {},
            {str(each.confined): each.socket.fileno() for each in self._listeners if each.confined is not None},
            {
                client.connection.serial: str(client.listener.confined)
                for client in server.clients
                if client.listener.confined is not None
            },
        )

    def _descriptors(self, server: Server) -> list[int]:
        carriers = self._carriers(server)
        shared = [carriers.listener, carriers.events, carriers.pipe]
        ours = [*carriers.client_sockets.values()] if self._daemon.update.ours else []
        return [each for each in shared if each is not None] + ours + self._kept(carriers)

    def _kept(self, carriers: Carriers) -> list[int]:
        """The sockets of those who come along: to another program no confined ones."""
        clients = self._daemon.connections
        ours = self._daemon.update.ours
        return [fd for serial, fd in carriers.sockets.items() if ours or clients[serial].privileged]
