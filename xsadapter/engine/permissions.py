"""Permission lists: kept as a node's metadata in the form the wire has.

Rules
1. The metadata of a node is its list as GET_PERMS sends it: letter and domid, NUL, for each entry
   ("n0", NUL, "r5", NUL). So GET_PERMS copies, and the history of a store shows lists as clients wrote them.
2. Entry 0 names the owner, and what every domain without an entry of its own may do. A domain's
   first entry after it wins. The owner may do everything.
3. A privileged connection may do everything, and never gets as far as this file.
4. A created node copies its parent's list; an unprivileged creator becomes its owner.
5. A node without metadata (written by something other than the daemon) counts as "n0".

Equal lists share one object (`intern`): 420,000 nodes have a few dozen different lists. Parsing is
remembered for each object. Cost: O(entries), a dictionary look-up when seen before.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from xsadapter.arguments import number
from xsadapter.errors import RequestError

READ: Final = 1
WRITE: Final = 2
_RIGHTS: Final = {b"n": 0, b"r": READ, b"w": WRITE, b"b": READ | WRITE}
_LETTERS: Final = {rights: letter for letter, rights in _RIGHTS.items()}

DOMID_MAX: Final = 65535
ANY_DOMAIN: Final = 0x7FF5
"""The wildcard: an entry with this domid stands for every domain."""

DEFAULT: Final = b"n0\0"
_INTERNED_MAX: Final = 65536


class Entry(NamedTuple):
    """What `domid` may do; in entry 0, who the owner is and what all others may do."""

    rights: int
    domid: int


_interned: dict[bytes, bytes] = {DEFAULT: DEFAULT}
_parsed: dict[bytes, tuple[Entry, ...]] = {}


def parse(texts: list[bytes]) -> tuple[Entry, ...]:
    """Entries of SET_PERMS: a letter of n, r, w, b and a decimal domid up to 65535 each; EINVAL."""
    entries = []
    for text in texts:
        rights = _RIGHTS.get(text[:1])
        if rights is None:
            raise RequestError("EINVAL")
        entries.append(Entry(rights, number(text[1:], DOMID_MAX)))
    if not entries:
        raise RequestError("EINVAL")
    return tuple(entries)


def pack(entries: tuple[Entry, ...]) -> bytes:
    """The metadata for a list, interned."""
    return intern(b"".join(b"%b%d\0" % (_LETTERS[entry.rights], entry.domid) for entry in entries))


def intern(meta: bytes) -> bytes:
    """The one object that stands for all metadata equal to `meta`."""
    if len(_interned) >= _INTERNED_MAX:
        _interned.clear()
        _parsed.clear()
    return _interned.setdefault(meta, meta)


def text(meta: bytes) -> bytes:
    """What GET_PERMS answers for a node with this metadata."""
    return meta or DEFAULT


def entries(meta: bytes) -> tuple[Entry, ...]:
    """The list in a node's metadata."""
    found = _parsed.get(meta)
    if found is None:
        found = parse(text(meta).split(b"\0")[:-1])
        _parsed[intern(meta)] = found
    return found


def owner(meta: bytes) -> int:
    """The domid that owns a node with this metadata."""
    return entries(meta)[0].domid


def allows(meta: bytes, domid: int, rights: int) -> bool:
    """Whether the domain has all of `rights` on a node with this metadata."""
    listed = entries(meta)
    if listed[0].domid in (domid, ANY_DOMAIN):
        return True
    for entry in listed[1:]:
        if entry.domid in (domid, ANY_DOMAIN):
            return entry.rights & rights == rights
    return listed[0].rights & rights == rights


def inherited(parent: bytes, creator: int | None) -> bytes:
    """The list of a node created below `parent`; `creator` is the domid of an unprivileged creator, else None."""
    if creator is None:
        return text(parent)
    first, *rest = entries(parent)
    return pack((Entry(first.rights, creator), *rest))
