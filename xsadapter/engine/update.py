"""A live update: another program takes this daemon's place, in the same process, with all clients.

Rules
1. One at a time, by one connection, which says what it wants in several requests: the program (`-f`), its command line
   (`-c`), then start (`-s`) or abort (`-a`). Another connection is refused; if that one ends, so does the update.
2. The program is looked at before anything is started: whether it runs, whether it is of our code, and if so whether
   it understands what it would be told. Until then the request waits.
3. Our code continues what transactions are there. For another's no transaction may be open: who has none gets none
   until there is none, the timeout has passed, or with force all that are open are older than the timeout.
4. Whatever fails leaves this daemon serving, and the reason is the answer. What succeeds is answered by the
   one who takes over: the answer is among what is not sent yet.

The shell looks at programs and replaces the process (`cli.updating`); here is only what is wanted.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon


class Stage(Enum):
    """How far it is."""

    NONE = auto()
    CHOSEN = auto()
    """The program is to be looked at."""
    ACCEPTED = auto()
    STARTED = auto()
    FAILED = auto()


class Update:
    """The one of a daemon."""

    __slots__ = (
        "began",
        "delayed",
        "force",
        "ours",
        "owner",
        "program",
        "reason",
        "stage",
        "timeout",
        "version",
        "words",
    )

    def __init__(self) -> None:
        self.owner: Connection | None = None
        self.stage = Stage.NONE
        self.program = ""
        self.words: list[str] | None = None
        """The command line after the program; None is that of this daemon."""
        self.ours = False
        """The program is of our code."""
        self.force = False
        self.timeout = 0.0
        self.version: int | None = None
        self.began = 0.0
        self.reason = ""
        self.delayed: list[Connection] = []

    @property
    def active(self) -> bool:
        """Whether the shell has something to do for it."""
        stage = self.stage
        # Not `in` a set: to hash a member of an enumeration is a call, and this is asked twice a turn.
        return stage is Stage.CHOSEN or stage is Stage.STARTED

    @property
    def gathers(self) -> bool:
        """Whether transactions are to come to an end."""
        return self.stage is Stage.STARTED and not self.ours

    def accept(self, daemon: Daemon, *, ours: bool) -> None:
        """The program was looked at."""
        self.stage, self.ours = Stage.ACCEPTED, ours
        self._resume(daemon)

    def fail(self, daemon: Daemon, reason: str) -> None:
        """It cannot be; whoever asked is told."""
        self.stage, self.reason = Stage.FAILED, reason
        self._resume(daemon)

    def clear(self, daemon: Daemon) -> None:
        """Forget it."""
        delayed = self.delayed
        self.__init__()  # type: ignore[misc]
        daemon.flow.resumed += [connection for connection in delayed if not connection.closed]

    def hindrance(self, daemon: Daemon) -> str | None:
        """Why it cannot be yet: who has transactions open; None: now it can. O(connections)."""
        if self.ours:
            return None
        now = daemon.flow.now
        opened = [
            (connection, transaction)
            for connection in daemon.connections.values()
            for transaction in connection.transactions.values()
        ]
        if not opened:
            return None
        if self.force and all(now - transaction.began >= self.timeout for _, transaction in opened):
            return None
        domids = sorted({connection.domid for connection, _ in opened})
        return f"transactions are open in domain {', '.join(map(str, domids))}"

    def _resume(self, daemon: Daemon) -> None:
        if self.owner is not None:
            daemon.flow.resumed.append(self.owner)
        daemon.flow.resumed += [connection for connection in self.delayed if not connection.closed]
        self.delayed = []
