"""One daemon from start to end, in the foreground: what `xsadapter run` and `xsadapter-xenstored` share.

Order at the start: the pid file's lock, sockets (clients may connect from here on and wait), store, tree, the number in
the pid file, READY=1.
A daemon that takes over from the process that this one was (`cli.heritage`) has sockets and clients from there.
At the end: STOPPING=1, clients closed, everything stored, socket and pid file removed. Whatever
fails on the way takes back what was done before it.
"""

from __future__ import annotations

import gc
import logging
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from xsadapter.audit import Audit
from xsadapter.cli import heritage
from xsadapter.cli.heritage import Heirs
from xsadapter.cli.history import Wanted, boot_id
from xsadapter.cli.hypervisor import chosen
from xsadapter.cli.notify import Watchdog, notify
from xsadapter.cli.options import Bounds, Trace
from xsadapter.cli.pidfile import PidFile
from xsadapter.cli.places import Places
from xsadapter.cli.refuge import Refuge
from xsadapter.cli.updating import Updating
from xsadapter.engine import lives
from xsadapter.engine.daemon import Daemon
from xsadapter.engine.index import DEFAULT as INDEXES
from xsadapter.engine.planting import plant
from xsadapter.errands import Again, Errands, Once
from xsadapter.errors import RequestError
from xsadapter.recovery.going_on import GoingOn
from xsadapter.recovery.inherited import Inherited
from xsadapter.scarcity import Scarcity
from xsadapter.server import Server
from xsadapter.stream.outgoing import Carriers
from xsadapter.tallying import AT_ONCE, Tallying
from xsadapter.transport.listener import Listener
from xsadapter.transport.socket import inherited, listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    import rrdstore
    from xsadapter.cli.status import Status
    from xsadapter.engine.hypervisor import Hypervisor
    from xsadapter.engine.index import Projection
    from xsadapter.stream.incoming import Heard
    from xsadapter.transport.host import Host
    from xsadapter.transport.socket import ClientSocket

_log = logging.getLogger("xsadapter")

_TROUBLE: Final = "audit"
_LOOK: Final = 0.05
"""Seconds after which a daemon that took over looks who has died meanwhile, all clients being served by then."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a daemon lives; `rundir` is made if socket or store are to be in it."""

    rundir: Path
    socket: Path
    store: Wanted
    client_sockets: tuple[ClientSocket, ...] = ()
    """Sockets whose users are one domain each."""
    trace: Trace = field(default_factory=Trace)
    bounds: Bounds = field(default_factory=Bounds)
    indexes: tuple[Projection, ...] = INDEXES
    """By which values domains are found."""
    pid_file: Path | None = None
    simulated_xen: Path | None = None
    """The directory of a simulated hypervisor (`transport.hub`), None for the host's own."""
    no_xen: bool = False
    """Whether the host's own is not to be looked for."""
    words: tuple[str, ...] = ()
    """The command line, without the program; what it names may be relative to the directory it was `began_in`."""
    began_in: str = "/"
    takes_over: bool = False
    """Whether a process before this one left its state."""
    kept: bool = False
    """Whether state and clients outlive a daemon that is killed."""
    control_port: int | None = None
    """The event channel of domain 0's own ring, if it is to be served from the start."""


def serve(settings: Settings, status: Status | None = None, ready: Callable[[], None] | None = None) -> None:
    """Run a daemon until it is told to stop, calling `ready` once it serves; OSError, StoreError say why it cannot."""
    with ExitStack() as undo:
        # See `server`; what is loaded at the start is not looked at by it either.
        gc.disable()
        undo.callback(gc.enable)
        if settings.rundir in {settings.socket.parent, settings.store.path and settings.store.path.parent}:
            settings.rundir.mkdir(parents=True, exist_ok=True, mode=0o755)
        if settings.store.path is not None:
            # Where that cannot be, the store is in memory, and says why.
            with suppress(OSError):
                settings.store.path.parent.mkdir(exist_ok=True, mode=0o755)
        pid_file = None if settings.pid_file is None else PidFile(settings.pid_file)
        if pid_file is not None:
            undo.callback(pid_file.close)
        left = heritage.found(settings.rundir) if settings.takes_over else None
        heard = None if left is None else heritage.read(left)
        carriers = Carriers() if heard is None else heard.carriers()
        going_on = GoingOn(settings.rundir, anew=heard is not None) if settings.kept else None
        listeners: list[Listener] = []
        for path, client, descriptor in _places(settings, carriers):
            listening = undo.enter_context(_listening(path, client, descriptor, going_on))
            listeners.append(Listener(listening, client))
            undo.callback(listeners[-1].remove)
        refuge = Refuge(settings.store)
        undo.callback(refuge.close)
        xen = chosen(settings.simulated_xen, carriers, refused=settings.no_xen)
        if xen is not None:
            undo.callback(xen.close)
        daemon = bounded(settings.bounds, refuge.store, xen, settings.indexes)
        daemon.flow.now = time.monotonic()  # What is restored waits from now on.
        if xen is not None:
            xen.daemon = daemon
        audit = Audit(daemon.flow.trail, settings.rundir, settings.trace.size)
        undo.callback(audit.close)
        for name, on in settings.trace.switches:
            daemon.flow.trail.switch(name, on)
        heirs = Heirs(daemon, carriers, {str(each.confined or ""): each for each in listeners}, [])
        rundir = settings.rundir
        continued = refuge.begin(
            daemon, lambda head: _begin(daemon, rundir, heard, heirs, going_on, listeners, xen, head)
        )
        errands = Errands(
            [
                Updating(daemon, settings, listeners, xen, going_on),
                Tallying(daemon),
                Scarcity(daemon),
                Places(daemon, listeners, pid_file, going_on),
                *Watchdog.wanted(),
            ]
        )
        if settings.trace.path is not None:
            _audited(daemon, audit, settings.trace.path, errands)
        if going_on is not None:
            going_on.start(daemon, boot_id(), listeners, heirs.clients, xen, errands, heirs.inherited)
            for serial in heirs.lost:
                daemon.flow.touched.connection(serial)
        refuge.serve(daemon, errands, going_on)
        if left is not None:
            left.unlink(missing_ok=True)
        _introduce_control(daemon, settings.control_port or (None if xen is None else xen.control_port))
        _log.info("listening on %s, %s", settings.socket, "continuing this boot's tree" if continued else "a new tree")
        for client in settings.client_sockets:
            _log.info("listening on %s for domain %d", client.path, client.domid)
        painter = None if status is None else status.painter(daemon)
        if heard is not None:
            Once(errands, time.monotonic() + _LOOK, partial(lives.scan, daemon))
        server = Server(daemon, listeners, painter, xen, audit, heirs.clients, errands, going_on)
        server.run(lambda: _ready(pid_file, ready))
        notify("STOPPING=1")
        server.close()
        refuge.close()
        _log.info("stopped, everything is stored")


def bounded(
    bounds: Bounds,
    store: rrdstore.Store,
    xen: Hypervisor | None = None,
    indexes: tuple[Projection, ...] = INDEXES,
) -> Daemon:
    """A daemon that heeds these bounds."""
    daemon = Daemon(store, xen, bounds.quotas, indexes)
    daemon.keep_orphans = bounds.keep_orphans
    if bounds.event_timeout is not None:
        daemon.flow.event_timeout = bounds.event_timeout
    return daemon


def _places(settings: Settings, carriers: Carriers) -> list[tuple[Path, ClientSocket | None, int | None]]:
    """Where to listen, for whom, and the descriptor of who listens there already."""
    own: tuple[Path, ClientSocket | None, int | None] = (settings.socket, None, carriers.listener)
    return [own, *((each.path, each, carriers.client_sockets.get(str(each))) for each in settings.client_sockets)]


def _listening(
    path: Path, client: ClientSocket | None, descriptor: int | None, going_on: GoingOn | None
) -> socket.socket:
    """The socket that was there, or a new one."""
    if descriptor is not None:
        return inherited(descriptor, listening=True)
    kept = None if going_on is None else going_on.listener(path)
    return listen(path, client) if kept is None else kept


def _begin(
    daemon: Daemon,
    rundir: Path,
    heard: Heard | None,
    heirs: Heirs,
    going_on: GoingOn | None,
    listeners: list[Listener],
    xen: Host | None,
    head: int | None,
) -> bool:
    """Go on from whatever a daemon before this one left."""
    if heard is not None:
        return _take_over(daemon, rundir, heard, heirs)
    if going_on is not None:
        return going_on.restore(daemon, boot_id(), listeners, heirs.clients, xen, head)
    return daemon.begin(boot_id())


def _take_over(daemon: Daemon, rundir: Path, heard: Heard, heirs: Heirs) -> bool:
    """Go on from the state of another process; OSError if its tree is not there."""
    boot, state = boot_id(), heard.state(daemon.domains.unique)
    if heard.nodes and heard.head != str(daemon.branch.head.id):
        plant(daemon, boot, heard.nodes, state.uniques)
    known = heard.nodes or heard.head == str(daemon.branch.head.id)
    if not known:
        _log.warning("the store is at %s, the state that is taken over at %s", daemon.branch.head.id, heard.head)
    elif not heard.nodes:
        heirs.inherited = Inherited.found(rundir, heirs.carriers.generation, heirs.carriers.far)
    continued = daemon.begin(boot, (state, heirs.took), charges=heard.charges if known else None, at_once=AT_ONCE)
    if not continued:
        raise OSError("a state without its tree was left: found another tree in the store, expected this boot's")
    _log.info("took over %d connections and %d watches", len(daemon.connections), daemon.watches.count)
    return continued


def _introduce_control(daemon: Daemon, port: int | None) -> None:
    """Have domain 0's own ring served, if there is to be one and it is not; OSError."""
    own = daemon.domains.record(0).connection
    if port is None or (own is not None and not own.ignored):
        return
    try:
        lives.introduce(daemon, 0, port)
    except RequestError as error:
        raise OSError(f"domain 0's ring cannot be mapped, or its event channel {port} bound") from error


def _audited(daemon: Daemon, audit: Audit, path: Path, errands: Errands) -> None:
    """Begin the audit log; where that cannot be, the daemon serves, and tries again."""
    if audit.begin(path):
        return

    def attempt(_: Server | None) -> bool:
        if audit.ready or audit.begin(path):
            daemon.troubles.end(_TROUBLE)
            return True
        return False

    daemon.troubles.begin(_TROUBLE, f"the audit log {path} cannot be opened", daemon.flow.now)
    Again(errands, attempt).begin()


def _ready(pid_file: PidFile | None, tell: Callable[[], None] | None) -> None:
    if pid_file is not None:
        try:
            pid_file.say()
        except OSError as error:
            _log.error("%s: the pid file is written when that can be", error)
    notify("READY=1")
    if tell is not None:
        tell()
