"""The daemon's store, whatever has become of its file: a host must have a xenstored.

Rules
1. A damaged store is made whole with all of it that can be read; one of a version that is not known is set aside, and
   a new one begun. Nothing is overwritten or removed: the log names where the old files are. What is no store at all is
   not touched.
2. Where that cannot be, the store has no room for this boot's tree, or the file system is full, read-only or not there,
   the daemon serves from memory, from the tree of this boot if it can be read. It tries again, after 1, 2, 4 and at
   most every 60 seconds; then the tree becomes a commit of the store. What lay between is lost from history, and is
   said to be.
3. A daemon that serves leaves its file likewise when that or its journal is not in its place any more or was cut, when
   the store has closed itself, and when it takes nothing for ten seconds though there is room: who holds no file of a
   broken file system lets it be mended. A full one is waited for (`when_unwritable`), and nothing is lost from history.
4. What turns out to be damaged while it is served is mended likewise, within a second or two, in which requests that
   meet it are answered EIO: the file stays beside a new one with all that can be read, and of the tree also what is in
   memory. What is lost is named. If there is no room for another file nothing is done until there is.
5. While changes are in memory only, nobody is to go on from what is beside the tree: clients end with a kill, and know.
6. The log says all of it when it begins and when it ends, CONTROL as long as it lasts.
7. With --strict none of it: the daemon says why and ends, or refuses changes. A store that another process writes, and
   a mistaken option, end the start in any case. Only who is not the writer that the journal names is waited for, ten
   seconds: a daemon that was killed while its file was mended leaves the mender, which ends when it sees that.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.cli.history import boot_id
from xsadapter.cli.mending import Mending, mend
from xsadapter.cli.moorings import Moorings
from xsadapter.engine import lives, private
from xsadapter.engine.moving import goes_on_in, move
from xsadapter.engine.salvaging import fill, salvage
from xsadapter.errands import Again

if TYPE_CHECKING:
    from collections.abc import Callable

    from xsadapter.cli.history import Wanted
    from xsadapter.engine.daemon import Daemon
    from xsadapter.errands import Errands
    from xsadapter.recovery.going_on import GoingOn
    from xsadapter.server import Server

_log = logging.getLogger("xsadapter")

_MISTAKES: Final = (
    rrdstore.Locked, rrdstore.PolicyError, rrdstore.TooSmall, rrdstore.InvalidSize, rrdstore.ConfigError,
)  # fmt: skip
_LOOK: Final = 1.0
_PATIENCE: Final = 10.0
_BRIEFLY: Final = 0.02
_LONG: Final = 60.0
_MICROSECONDS: Final = 1_000_000
_TROUBLE: Final = "store"
_DAMAGE: Final = "damage"


class Refuge:
    """The store of one daemon. `at` is when its file is looked at next."""

    def __init__(self, wanted: Wanted) -> None:
        """Open it, or whatever can be had; StoreError, OSError."""
        self._wanted = wanted
        self._daemon: Daemon | None = None
        self._going_on: GoingOn | None = None
        self.at: float | None = None
        self.why = ""
        """Why it is in memory and should not be."""
        self.head: int | None = None
        """If it is, the number of the commit whose tree it began with."""
        self._lost = False
        """Whether changes are in memory only, of a store that has its file."""
        self._moorings = Moorings(None)
        self._damaged = False
        """Whether the file is to be mended before it is opened again."""
        self._mending: Mending | None = None
        """Who is at that, if somebody is."""
        self._missing: list[str] = []
        """Places of the tree that could not be read of it."""
        try:
            self.store = _unlocked(wanted)
            self._moorings = Moorings(wanted.path)
        except _MISTAKES:
            raise
        except (rrdstore.StoreError, OSError) as error:
            if wanted.strict or wanted.path is None:
                raise
            self.why = str(error)
            self.store = wanted.memory()
            self.head = _rescued(wanted.path, self.store)
            _log.error("%s: serving from memory, %s", error, _began(self.head))

    def begin(self, daemon: Daemon, begin: Callable[[int | None], bool]) -> bool:
        """As `begin`, which makes the tree ready and is told `head`; in another store if this refuses. StoreError."""
        try:
            return begin(self.head)
        except (rrdstore.StoreError, OSError) as error:
            # Who has clients already cannot begin again.
            if self._wanted.strict or self._wanted.path is None or self.why or daemon.connections:
                raise
            self.why = str(error)
            self._damaged = isinstance(error, rrdstore.Corrupt)
        self._let_go(self.store)
        if not (self._damaged and self._reopened(daemon)):
            self.store, self.head = self._wanted.memory(), None
            _log.error("%s: serving from memory, with a fresh tree", self.why)
        goes_on_in(daemon, self.store)
        return begin(self.head)

    def _reopened(self, daemon: Daemon) -> bool:
        """Whether the damaged store is mended and open again."""
        try:
            self._mend()
            self.store = _mended(self._wanted)
        except (rrdstore.StoreError, OSError) as error:
            self.why = str(error)
            return False
        daemon.troubles.damage = self.why = ""
        self._moorings = Moorings(self._wanted.path)
        return True

    def _mend(self) -> None:
        if self._damaged and self._wanted.path is not None:
            _repair(self._wanted.path)
            self._damaged = False

    def _is_mended(self, daemon: Daemon, *, wait: bool) -> bool:
        """Whether nothing is to be mended any more; that is done in another process meanwhile. OSError."""
        if not self._damaged or self._wanted.path is None:
            return True
        if self._mending is None:
            self._mending, daemon.troubles.mending = Mending(self._wanted.path), True
        if self._mending.running and not wait:
            return False
        mending, self._mending, daemon.troubles.mending = self._mending, None, False
        for line in mending.lines():
            _log.error("%s", line)
        self._damaged = False
        return True

    def serve(self, daemon: Daemon, errands: Errands, going_on: GoingOn | None) -> None:
        """Look after it from now on."""
        self._daemon, self._going_on = daemon, going_on
        self._again = Again(errands, self._attempt)
        if self.why:
            self._adrift(daemon)
        if self._wanted.path is not None and not self._wanted.strict:
            self.at = time.monotonic() + _LOOK
            errands.add(self)

    def close(self) -> None:
        """Store what can be stored, and let go of it; OSError if something is lost."""
        if self.why and not self._attempt(None):
            raise OSError(f"{self.why}: what was changed in memory is lost")
        try:
            self.store.close()
        except (rrdstore.StoreError, OSError) as error:
            held = self.store.held
            self.store.abandon()
            if held is not None and held.lost_since is not None:
                raise OSError(f"{error}: what was changed in memory is lost") from error
            _log.error("%s: the journal has what is not stored, and the next start stores it", error)

    def turn(self, server: Server) -> None:
        """See Errand: leave the file if it is of no use any more."""
        self.at = time.monotonic() + _LOOK
        if self._mending is not None and not self._mending.running:
            self._again.soon()
        held = self.store.held
        lost = held is not None and held.lost_since is not None
        if lost is not self._lost and self._going_on is not None and not self.why:
            self._lost = lost
            if lost:
                self._going_on.pause()
            else:
                self._going_on.resume()
        if not self.why:
            self.why = self._useless()
            if self.why and self._daemon is not None:
                _log.error("%s: going on in memory; changes from now on are lost if the daemon is killed", self.why)
                self._leave(self._daemon, server)
            elif self._daemon is not None and self._daemon.troubles.damage:
                self._salvage(self._daemon, server)

    def _let_go(self, left: rrdstore.Store) -> None:
        """Of a store that is of no use; SQLite still looks at its index of the log as it closes."""
        self._moorings.part()
        with suppress(rrdstore.StoreError, OSError):
            left.abandon()
        self._moorings.close()
        self._moorings = Moorings(None)

    def _useless(self) -> str:
        path, store = self._wanted.path, self.store
        if store.closed:
            return f"{path} could not be written, and closed itself"
        wrong = self._moorings.wrong()
        if wrong:
            return wrong
        held = store.held
        if held is None or held.lost_since is None or "file system" not in held.by:
            return ""
        if time.time() - held.lost_since / _MICROSECONDS < _PATIENCE or not _free(path):
            return ""
        return f"{path} cannot be written: {held.by}"

    def _leave(self, daemon: Daemon, server: Server) -> None:
        try:
            left = move(daemon, memory := self._wanted.memory())
        except rrdstore.Corrupt as error:
            daemon.troubles.damage = str(error)
            self._salvage(daemon, server)
            return
        except (rrdstore.StoreError, OSError) as error:
            _log.error("some of the tree cannot be read any more, so it stays where it is: %s", error)
            self.why, self.at = "", time.monotonic() + _LONG
            return
        self.store = memory
        self._let_go(left)
        self._adrift(daemon)

    def _salvage(self, daemon: Daemon, server: Server) -> None:
        path, found, now = self._wanted.path, daemon.troubles.damage, daemon.flow.now
        if path is None or (path.is_file() and not _room_for(path)):
            daemon.troubles.begin(_DAMAGE, f"{path} is damaged, and there is no room to mend it: {found}", now)
            self.why, self.at = "", time.monotonic() + _LONG
            return
        daemon.troubles.end(_DAMAGE)
        daemon.troubles.damage = ""
        self.why = f"{path} is damaged: {found}"
        _log.error("%s: going on with what can be read, until it is mended", self.why)
        left, self.store = self.store, self._wanted.memory()
        self._missing, self._damaged = salvage(daemon, self.store, boot_id()), True
        self._let_go(left)
        self._adrift(daemon)
        self._again.turn(server)

    def _adrift(self, daemon: Daemon) -> None:
        what = f"the store is in memory: {self.why}; all since then is lost by a kill"
        daemon.troubles.begin(_TROUBLE, what, daemon.flow.now or time.monotonic(), lossy=True)
        if self._going_on is not None:
            self._going_on.pause()
        self._again.begin()

    def _attempt(self, server: Server | None) -> bool:
        daemon = self._daemon
        if daemon is None:
            return False
        try:
            if not self._is_mended(daemon, wait=server is None):
                return False
            store = _mended(self._wanted)
        except (rrdstore.StoreError, OSError) as error:
            if str(error) != self.why:
                self.why = str(error)
                _log.error("still in memory: %s", error)
            return False
        try:
            self._fill(daemon, store)
            left = move(daemon, store)
        except (rrdstore.StoreError, OSError) as error:
            _log.error("still in memory: %s", error)
            with suppress(rrdstore.StoreError, OSError):
                store.abandon()
            return False
        commits = left.info().commits
        left.close()
        self.store, self.why, self._moorings, self._lost = store, "", Moorings(self._wanted.path), False
        _log.warning(
            "%s has the tree again, in one commit; the %d commits made in memory are lost from history",
            self._wanted.path, commits,
        )  # fmt: skip
        daemon.troubles.end(_TROUBLE)
        if self._going_on is not None:
            self._going_on.resume()
        return True

    def _fill(self, daemon: Daemon, store: rrdstore.Store) -> None:
        if self._missing:
            for place in fill(daemon, store.branch("main").tree, self._missing, boot_id()):
                _log.error("lost: %s, with all below it", place)
            self._missing = []


def _unlocked(wanted: Wanted) -> rrdstore.Store:
    """The same as `_mended`, once nobody holds it who is about to end."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return _mended(wanted)
        except rrdstore.Locked as fault:
            if _lives(fault.pid) or time.monotonic() >= until:
                raise
        time.sleep(_BRIEFLY)


def _lives(pid: int | None) -> bool:
    """Whether there is such a process, and it is not this one, which may have the number of one that was."""
    return pid is not None and pid != os.getpid() and Path(f"/proc/{pid}").exists()


def _mended(wanted: Wanted) -> rrdstore.Store:
    """The store, mended or begun if need be; StoreError, OSError if there is none."""
    path = wanted.path
    try:
        return wanted.open()
    except rrdstore.OtherFormat as fault:
        if wanted.strict or path is None:
            raise
        _log.error("%s: it stays as %s, and a new store is begun", fault, rrdstore.set_aside(path))
    except (rrdstore.NoStore, rrdstore.Corrupt) as fault:
        if wanted.strict or path is None or not path.is_file():
            raise
        with suppress(rrdstore.Exists):  # A creation that was cut short has left nothing to be kept.
            return wanted.create()
        if isinstance(fault, rrdstore.NoStore) and not _ours(path):
            raise
        if not _room_for(path):
            raise
        _log.error("%s", fault)
        _repair(path)
    return wanted.open()


def _repair(path: Path) -> None:
    for line in mend(path):
        _log.error("%s", line)


def _rescued(path: Path, store: rrdstore.Store) -> int | None:
    """Begin with the tree that the file has, if that is this boot's: the number of its commit."""
    try:
        with rrdstore.open(str(path), readonly=True) as left:
            tree = left.branch("main").tree
            mark = tree.get(private.BOOT)
            if mark is None or mark.value != boot_id().encode():
                return None
            with store.branch("main").transaction(message=f"START with the tree of {path}", author=lives.AUTHOR) as tx:
                for place, node in tree.descend("/"):
                    tx.set(place, node.value, meta=node.meta)
            return left.branch("main").head.number
    except (rrdstore.StoreError, OSError) as error:
        _log.error("the tree in %s cannot be read: %s", path, error)
        return None


def _began(head: int | None) -> str:
    return "with a fresh tree" if head is None else "with the tree that the file has"


def _free(path: Path | None) -> bool:
    """Whether the file system has room."""
    try:
        return path is not None and shutil.disk_usage(path.parent).free > 0
    except OSError:
        return True


def _ours(path: Path) -> bool:
    """Whether what is no store any more was one: its journal lies beside it."""
    return path.with_name(f"{path.name}-ring").exists()


def _room_for(path: Path) -> bool:
    """Whether there is room for the file once more."""
    return shutil.disk_usage(path.parent).free > path.stat().st_size * 17 // 16
