"""A row of WRITEs: those that follow each other in what a privileged client has sent, carried out in one loop.

Rules
1. Each is a commit of its own and answered OK, as by its handler. Whatever is more than a value for a node that is
   there, or for one that comes into being, an error too, ends the row, and nothing of it has been done then.
2. The row is announced once, before the first (`touched.Journal.row`). So whatever waits for the client besides the
   answers ends it: where these stand in what it is sent is not said of each.

Cost: a WRITE takes the change and its commit, and little else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import rrdstore
from xsadapter.engine.events import tell_replaced
from xsadapter.operations import Kind
from xsadapter.paths import named
from xsadapter.wire import ANSWER, HEADER, HEADER_SIZE, OK, PAYLOAD_MAX

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon

_WRITE: Final = int(Kind.WRITE)


def writes(daemon: Daemon, connection: Connection, at: int, most: int) -> int:
    """Carry out the WRITEs at byte `at` of what is here and behind it, at most so many; how many there were.

    What is here is taken up to there.
    """
    head, flow, reader = daemon.head, daemon.flow, connection.reader
    touched, journal = flow.touched, head.journal
    if head.turns.held or touched.any or _WRITE not in daemon.at_once:
        return 0
    if journal is not None and not journal.row(connection, reader.base + at, head.number):
        return 0
    buffer, output, author, set_at = reader.buffer, connection.output, connection.author, head.branch.set_at
    known, watches, names, recorded = head.spots.get, head.watches, head.indexes.asked, flow.trail.changes
    size, count, number, fired = len(buffer), 0, 0, False
    try:
        while count < most and not fired and (start := at + HEADER_SIZE) <= size:
            kind, request, transaction, length = HEADER.unpack_from(buffer, at)
            end = start + length
            if kind != _WRITE or transaction or end > size or length > PAYLOAD_MAX:
                break
            cut = buffer.find(b"\0", start, end) + 1
            if not cut:
                break
            key, value, made = buffer[start:cut], buffer[cut:end], 0
            if (spot := known(key)) is not None and not key.endswith(names) and not recorded:
                old = spot.node
                if old.__class__ is rrdstore.Node:
                    made = set_at(spot, value, "WRITE ", author)
            if made and spot is not None and old is not None:
                number = made
                more = len(value) - len(old.value)
                if more:
                    head.accounts.grew(old.meta, more)
                if watches.count and key not in watches.silent:
                    head.replaced(number)
                    waits = len(output)
                    if not tell_replaced(watches, spot.path, head.tree):
                        watches.hush(key)
                    fired = len(output) != waits or touched.any
            else:
                if number:
                    head.replaced(number)
                    number = 0
                waits = len(output)
                found = named(key[:-1])
                if found is None or not connection.live.put_there("WRITE", *found, value):
                    break
                fired = len(output) != waits or touched.any
            if not output:
                flow.waiting.append(connection)
            output.append(ANSWER.pack(_WRITE, request, 0, 3, OK))
            at = end
            count += 1
    except Exception:  # noqa: BLE001 - the long way tells
        number = 0
        head.moved()
    if number:
        head.replaced(number)
    if journal is not None:
        journal.ended(count)
    if count:
        reader.at = at
        connection.operations += count
        daemon.kinds[_WRITE] += count
        if daemon.domains.crossed:
            daemon.tell_crossed()
    return count
