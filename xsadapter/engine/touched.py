"""What of the daemon's state beside the tree has changed since it was last written down.

Rule: whoever changes something that `state.State` describes says so here, by what is concerned and not by how; the
shell then writes down what that is by then. While nothing writes (`on` is False) nothing is collected.

Cost: O(1) each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.events import Effect
    from xsadapter.engine.telling import Telling
    from xsadapter.engine.watches import Watch


class Journal(Protocol):
    """Where it is written down, so that who is killed loses nothing. `announced`: there are rows to be told."""

    announced: bool

    def change(self, connection: Connection, effects: Collection[Effect]) -> None:
        """The request of this client that is being carried out is about to change the tree, in one commit."""
        ...

    def row(self, connection: Connection, begin: int, before: int) -> bool:
        """So are WRITEs of this client that follow each other from byte `begin` of its stream on.

        Each in one commit, of which the first comes after the head of number `before`, and answered OK. False: that
        cannot be said of them; each is to be told by `change`.
        """
        ...

    def ended(self, made: int) -> None:
        """So many of that row were made, and no more of it will be."""
        ...

    def told(self) -> None:
        """The answers of such rows were all there was to be sent, and have been: as `flushed`, for less."""
        ...

    def burial(self, effects: Sequence[Effect]) -> None:
        """So is nobody's request."""
        ...

    def undo(self) -> None:
        """If what was announced last was not done, it was not announced."""
        ...

    def persist(self) -> None:
        """Write down what was touched, before anybody is told of it."""
        ...

    def flushed(self) -> None:
        """Everybody was sent what waited: what was announced is told."""
        ...

    def cut(self, connection: Connection) -> None:
        """Some of what waited for this client was dropped."""
        ...

    def began(self, connection: Connection) -> None:
        """A ring is about to begin anew: what was written down of its bytes counts no more."""
        ...


class Touched:
    """One for all; `any` says whether there is anything."""

    __slots__ = ("any", "asked", "connections", "domains", "grown", "limits", "on", "owed", "watches")

    def __init__(self) -> None:
        self.on = self.any = self.limits = False
        self.domains: dict[int, None] = {}
        self.connections: dict[int, None] = {}
        """By serial number."""
        self.watches: dict[tuple[int, str, bytes], Watch | None] = {}
        """By the connection's serial number, path and token; None is gone."""
        self.asked: dict[int, Connection] = {}
        """Whose requests did it: their answers belong to it."""
        self.owed: list[tuple[int, Telling | None]] = []
        """Of guests, by serial number, what they are to be told later, or None: they have been told all of it."""
        self.grown: dict[int, Connection] = {}
        """Guests for which more waits than what they were to be sent already; not forgotten by `clear`."""

    def domain(self, domid: int) -> None:
        """A domain is known, known no more, or has something else than before."""
        if self.on:
            self.domains[domid] = None
            self.any = True

    def limit(self, domid: int | None) -> None:
        """A limit of a domain was changed, or of those that will be known."""
        if domid is not None:
            self.domain(domid)
        elif self.on:
            self.limits = self.any = True

    def connection(self, serial: int) -> None:
        """Likewise a connection, or its transactions."""
        if self.on:
            self.connections[serial] = None
            self.any = True

    def watch(self, watch: Watch, *, gone: bool) -> None:
        """A watch came or went; what comes again comes last."""
        if self.on:
            key = watch.connection.serial, watch.path, watch.token
            self.watches.pop(key, None)
            self.watches[key] = None if gone else watch
            self.any = True

    def owes(self, serial: int, telling: Telling | None) -> None:
        """A guest is to be told later of that; None: it has been told all."""
        if self.on:
            self.owed.append((serial, telling))
            self.any = True

    def grew(self, connection: Connection) -> None:
        """More waits for a guest for whom something waited already."""
        if self.on:
            self.grown[connection.serial] = connection

    def clear(self) -> None:
        """It is written down."""
        self.any = self.limits = False
        for kept in (self.domains, self.connections, self.watches, self.asked, self.owed):
            kept.clear()
