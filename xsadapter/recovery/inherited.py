"""What the daemon before this one has written down, if this one took over by a live update: it is gone on with.

Rules
1. Words and log of one generation stay as they are, and are added to: to write all of it down anew takes 0.1 s for
   10,000 domains, in which nobody is served. Killed before the first addition, the next start finds what it would
   have found without the update.
2. Positions go on too: a ring's indexes, and what a socket's client has sent and was sent, are those that were written
   down. So a ring need not be mapped to know where it is.
3. If it does not fit what is taken over, all is written down anew.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from xsadapter.recovery import log
from xsadapter.recovery.words import DONE, RECEIVED, SENT, Room, Words
from xsadapter.wire import FrameReader

if TYPE_CHECKING:
    from pathlib import Path

    from xsadapter.engine.connection import Connection
    from xsadapter.engine.state import ConnectionState

_log = logging.getLogger("xsadapter")


class Inherited:
    """The words and the log of a generation; `whole` as long as they fit."""

    def __init__(self, directory: Path, generation: int, far: int) -> None:
        """OSError, ValueError: they are not there. `far`: how far any ring has moved since the log was begun."""
        if log.generation(directory / log.NAME) != generation:
            raise ValueError(f"{directory / log.NAME} is not of generation {generation}")
        self.generation, self.far = generation, far
        self.words = Words(directory / f"{log.NAME}.{generation}")
        self.whole = not self.words.call
        self.rooms: dict[int, Room] = self.words.rooms()
        """By the connection's serial number."""

    @classmethod
    def found(cls, directory: Path, generation: int, far: int) -> Inherited | None:
        """None if there is none of that generation, of which 0 is none."""
        try:
            return cls(directory, generation, far) if generation else None
        except (OSError, ValueError) as error:
            _log.warning("what was written down is written down anew: %s", error)
            return None

    def socket(self, connection: Connection, known: ConnectionState) -> None:
        """Have a socket's client go on at its positions."""
        room = self.rooms.get(connection.serial)
        if room is None:
            return
        done = room.get(RECEIVED) - len(known.input)
        if done < room.get(DONE):
            self.whole = False
            return
        connection.reader = FrameReader(done)
        connection.written = room.get(SENT)
