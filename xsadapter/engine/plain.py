"""Requests so plain that they pass the handlers.

They are a privileged client's, and nothing beside the tree is to be written down for them. Those inside a transaction:
`within`.

Rule: they are answered as the handlers would. Whatever is more than that, an error too, is left to these, and nothing
of it has been done then.

Cost: a READ takes the look-up of its node and little else; the calls around a request would be most of what it costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsadapter.commands.directory import directory_part_at_once
from xsadapter.engine.row import writes
from xsadapter.engine.within import answered_within
from xsadapter.operations import Kind
from xsadapter.wire import HEADER, HEADER_SIZE, PAYLOAD_MAX

if TYPE_CHECKING:
    from xsadapter.commands import AtOnce
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon

_READ, _WRITE, _PART = int(Kind.READ), int(Kind.WRITE), int(Kind.DIRECTORY_PART)


def answered(daemon: Daemon, connection: Connection, plain: AtOnce, kind: int, request: int, payload: bytes) -> bool:
    """Whether one was so plain that it is answered now."""
    try:
        reply = plain(daemon, connection, payload)
    except Exception:  # noqa: BLE001 - the long way tells
        return False
    if reply is None or len(reply) > PAYLOAD_MAX:
        return False
    output = connection.output
    if not output:
        daemon.flow.waiting.append(connection)
    output.append(HEADER.pack(kind, request, 0, len(reply)) + reply)
    connection.operations += 1
    daemon.kinds[kind] += 1
    if daemon.domains.crossed:
        daemon.tell_crossed()
    return True


def in_a_row(daemon: Daemon, connection: Connection, most: int) -> int:
    """Carry out the requests that come next in a row and are plain, at most so many, of a privileged client.

    READ, WRITE, DIRECTORY_PART, and what is asked in a transaction, of one for whom nothing waits. How many there were.
    """
    output = connection.output
    if output or connection.held is not None or daemon.flow.trail.io:
        return 0
    reader, head = connection.reader, daemon.head
    known = head.spots.get
    buffer, at = reader.buffer, reader.at
    size, count = len(buffer), 0
    written = parts = 0  # of these, those that are noted already, and those of directories
    try:
        while count < most and (start := at + HEADER_SIZE) <= size:
            kind, request, transaction, length = HEADER.unpack_from(buffer, at)
            end = start + length
            if end > size or length > PAYLOAD_MAX:
                break
            if transaction:
                if not answered_within(daemon, connection, (kind, request, transaction, buffer[start:end])):
                    break
                at = reader.at = end
                count += 1
                written += 1
                continue
            if kind == _WRITE:
                if not (made := writes(daemon, connection, at, most - count)):
                    break
                at = reader.at
                count += made
                written += made
                continue
            payload = buffer[start:end]
            if kind == _READ:
                spot = known(payload)
                node = None if spot is None else spot.node
                if node is None and (node := head.find(payload)) is None:
                    break
                value = node.value
            elif kind == _PART:
                part = directory_part_at_once(daemon, connection, payload)
                if part is None:
                    break
                value = part
                parts += 1
            else:
                break
            length = len(value)
            if length > PAYLOAD_MAX:
                break
            if not count:
                daemon.flow.waiting.append(connection)
            output.append(HEADER.pack(kind, request, 0, length) + value)
            at = end
            count += 1
    except Exception:  # noqa: BLE001 - likewise
        pass
    if count > written:
        reader.at = at
        connection.operations += count - written
        daemon.kinds[_READ] += count - written - parts
        daemon.kinds[_PART] += parts
    return count
