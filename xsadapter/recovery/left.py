"""What a daemon that was killed has left: the log, the words, and what they say together.

Rules
1. What another boot has left is history: it is not looked at.
2. A client's stream goes on behind everything of it that is known to be carried out. What it is to be sent is what was
   written down, from where the last byte was sent.
3. A change that was announced was made if the head of the store is beyond the one before it. Those that were made are
   told once more to whoever watches, and the last of a client's that has no answer written down is answered OK.
4. Who was inside a system call is in doubt, and ends.

Positions of rings are compared modulo 2^32, as they run: what is written down is never 2^31 bytes behind. Those of
sockets do not wrap, and the log may be from any time before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import sub
from typing import TYPE_CHECKING, Final

from xsadapter.engine.state import Told
from xsadapter.operations import Kind
from xsadapter.recovery import log
from xsadapter.recovery.turn import Change, Turn, decoded
from xsadapter.recovery.words import DONE, RECEIVED, ROOMS, SENT, SERIAL, Words
from xsadapter.wire import OK, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from xsadapter.engine.state import ConnectionState, State
    from xsadapter.recovery.log import Logged

_log = logging.getLogger("xsadapter")

_HALF: Final = 1 << 31
_WRAP: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Ring:
    """Where a ring goes on: what its indexes are to be."""

    consumer: int
    producer: int


@dataclass(frozen=True, slots=True)
class Left:
    """All of it. `rings` by serial number; `doubtful` is the client that was inside a system call, 0 for none."""

    generation: int
    state: State
    rings: dict[int, Ring]
    doubtful: int
    told: tuple[Told, ...]


def ahead(position: int, of: int) -> int:
    """How many bytes a position of a ring is beyond another, negative if it is behind."""
    return ((position - of + _HALF) & _WRAP) - _HALF


_Ahead = Callable[[int, int], int]


def load(directory: Path, boot: str, head: int) -> Left | None:
    """What was left by a daemon of this boot, of whose store the head has that number; None if nothing was."""
    try:
        logged = log.read(directory / log.NAME)
        if logged is None or logged.boot != boot:
            return None
        words = Words(directory / f"{log.NAME}.{logged.generation}")
    except (ValueError, OSError, LookupError, TypeError) as error:
        _log.error("what the daemon before this one has left cannot be read: %s", error)
        return None
    try:
        changes = [*_changes(words, head), *map(decoded, logged.changes)]
        return _together(logged, words, [change for change in changes if change.before < head])
    finally:
        words.close()


def _changes(words: Words, head: int) -> Iterator[Change]:
    """Those that lie among the words, of a row each that was made."""
    for announced in Turn(words):
        if isinstance(announced, Change):
            yield announced
        elif announced.room < ROOMS and (room := words.room(announced.room)).get(SERIAL) in {announced.serial, 0}:
            # One who has gone since is told nothing, but others are of what he did.
            yield from announced.changes(room.between(announced.begin, room.get(RECEIVED)), head)


def _together(logged: Logged, words: Words, changes: Sequence[Change]) -> Left:
    rooms = words.rooms()
    clients: list[ConnectionState] = []
    rings: dict[int, Ring] = {}
    answers: set[int] = set()
    for client in logged.state().connections:
        serial = client.serial
        mine = [change for change in changes if change.serial == serial]
        logged_outputs = logged.outputs.get(serial, [])
        outputs = [(start, data) for _, start, data in logged_outputs] + [(each.start, each.output) for each in mine]
        further: _Ahead = ahead if client.ring else sub
        if client.ring:
            consumer, sent = words.ring(client.domid)
            start, half = logged.inputs.get(serial, (consumer, b""))
            before = start if ahead(consumer, start + len(half)) == 0 else consumer
        elif (room := rooms.get(serial)) is not None:
            before, sent = room.get(DONE), room.get(SENT)
        else:
            continue
        answered = _furthest(further, before, (done for done, _, _ in logged_outputs))
        done = _furthest(further, answered, (change.done for change in mine))
        if done != answered:
            answers.add(id(next(change for change in mine if change.done == done)))
        if client.ring:
            rest = half[ahead(done, start) :] if before == start else b""
            rings[serial] = Ring(done + len(rest) & _WRAP, sent)
        else:
            rest = rooms[serial].between(done, rooms[serial].get(RECEIVED))
        ended = {change.asked[2] for change in mine if change.asked[0] == Kind.TRANSACTION_END}
        output = _rest(further, sent, outputs)
        clients.append(
            replace(
                client,
                transactions=tuple(each for each in client.transactions if each.number not in ended),
                input=rest,
                output=(output,) if output else (),
                begun=bool(output),
            )
        )
    told = tuple(
        Told(change.before, change.effects, change.serial, _answer(change) if id(change) in answers else b"")
        for change in changes
    )
    state = replace(logged.state(), connections=tuple(clients))
    return Left(logged.generation, state, rings, words.call, told)


def _furthest(further: _Ahead, start: int, positions: Iterable[int]) -> int:
    best = start
    for position in positions:
        if further(position, best) > 0:
            best = position
    return best


def _rest(further: _Ahead, sent: int, outputs: list[tuple[int, bytes]]) -> bytes:
    """What is beyond `sent` of pieces that follow each other."""
    rest = b""
    for start, data in sorted(outputs, key=lambda piece: further(piece[0], sent)):
        skip = further(sent, start) + len(rest)
        if 0 <= skip < len(data):
            rest += data[skip:]
    return rest


def _answer(change: Change) -> bytes:
    return pack(*change.asked, OK)
