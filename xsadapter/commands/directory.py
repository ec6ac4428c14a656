"""DIRECTORY and DIRECTORY_PART: names below a node, sorted, each with a NUL.

Rules
1. DIRECTORY answers all names or E2BIG; clients then ask for parts.
2. A part begins with a generation in decimal, which changes whenever the listing does and survives a
   restart. Then whole names from the offset on, as many as fit; one NUL more after the last name of all.
3. An offset within a name is EINVAL; at or past the end it yields the generation and one NUL.
4. The daemon's own directory in the root is left out (see `engine.private`). What has a value, below `/@index`, is
   in the order of numbers (see `engine.index`).

Cost: O(reply), and that of `engine.listings` where the listing has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xsadapter.arguments import number
from xsadapter.commands.access import need, place
from xsadapter.engine import index, permissions, private
from xsadapter.errors import RequestError
from xsadapter.paths import canonical, named
from xsadapter.wire import PAYLOAD_MAX

if TYPE_CHECKING:
    from xsadapter.engine.connection import Connection
    from xsadapter.engine.daemon import Daemon
    from xsadapter.engine.listings import Listing
    from xsadapter.engine.transactions import Transaction
    from xsadapter.engine.view import View

_OFFSET_MAX: Final = 2**32 - 1
_DIGITS: Final = len(str(_OFFSET_MAX))
_LISTED: Final = 64


def directory(daemon: Daemon, connection: Connection, view: View, raw: bytes) -> bytes:
    """All names below a node; ENOENT, EACCES, E2BIG."""
    names = _listing(daemon, connection, view, raw).packed
    if len(names) > PAYLOAD_MAX:
        raise RequestError("E2BIG")
    return names


def directory_within(daemon: Daemon, view: Transaction, payload: bytes) -> bytes | None:
    """What DIRECTORY of a privileged client answers in a transaction; None if there is more to it."""
    found = named(payload[:-1])
    if found is None or payload[-1:] != b"\0" or not found[1] or view.find(*found, "exists") is None:
        return None
    names = daemon.listings.get(found[0], view.order(found[0])).packed
    return names if len(names) <= PAYLOAD_MAX else None


def directory_part(daemon: Daemon, connection: Connection, view: View, arguments: list[bytes]) -> bytes:
    """Names from an offset on; ENOENT, EACCES, EINVAL."""
    raw, text = arguments
    place(connection, raw)
    offset = number(text, _OFFSET_MAX)
    listing = _listing(daemon, connection, view, raw)
    return _part(listing.packed, b"%d\0" % listing.generation, offset)


def directory_part_at_once(daemon: Daemon, _: Connection, payload: bytes) -> bytes | None:
    """What DIRECTORY_PART of a privileged client, in no transaction, answers; None if there is more to it."""
    raw, _separator, text = payload.partition(b"\0")
    known, digits = daemon.head.listed.get(raw) or _listed(daemon, raw), text[:-1]
    if known is None or text[-1:] != b"\0" or not digits.isdigit() or len(digits) > _DIGITS:
        return None
    names, generation = known
    # As `_part`, without its call, or that of `number`: there are twelve to ten thousand names.
    offset, left = int(digits), PAYLOAD_MAX - 1 - len(generation)
    if offset > len(names) - left or (offset and names[offset - 1]):
        return None if offset > _OFFSET_MAX else _part(names, generation, offset)
    return generation + names[offset : names.rindex(0, offset, offset + left) + 1]


def _listed(daemon: Daemon, raw: bytes) -> tuple[bytes, bytes] | None:
    """Names and generation of a directory, kept as long as no node comes or goes; None if there is more to it."""
    if raw[:1] != b"/" or raw == b"/":
        return None
    path, listed = canonical(raw, ""), daemon.head.listed
    listing = daemon.listings.get(path, daemon.head.tree.order(path))
    if len(listed) >= _LISTED:
        listed.clear()
    found = listed[raw] = listing.packed, b"%d\0" % listing.generation
    return found


def _part(names: bytes, generation: bytes, offset: int) -> bytes:
    if offset >= len(names):
        return generation + b"\0"
    if offset and names[offset - 1]:
        raise RequestError("EINVAL")
    room = PAYLOAD_MAX - len(generation) - 1
    if len(names) - offset <= room:
        return generation + names[offset:] + b"\0"
    return generation + names[offset : names.rindex(0, offset, offset + room) + 1]


def _listing(daemon: Daemon, connection: Connection, view: View, raw: bytes) -> Listing:
    path = place(connection, raw)
    need(connection, view, path, permissions.READ, "exists")
    if index.is_index(path):
        return daemon.listings.get(path, (index.names(view, path), ()))
    if path == "/":
        return daemon.listings.get(path, (view.names(path), ()), private.NAME)
    return daemon.listings.get(path, view.order(path))
