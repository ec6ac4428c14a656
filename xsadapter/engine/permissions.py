"""Permission lists: kept as a node's metadata in the form the wire has.

Rules
1. The metadata of a node is its list as GET_PERMS sends it: letter and domid, NUL, for each entry
   ("n0", NUL, "r5", NUL). So GET_PERMS copies, and the history of a store shows lists as clients wrote them.
2. Entry 0 names the owner, and what every domain without an entry of its own may do. A domain's
   first entry after it wins. The owner may do everything.
3. A privileged connection may do everything, and never gets as far as this file.
4. A created node copies its parent's list; an unprivileged creator becomes its owner.
5. A node without metadata (written by something other than the daemon) counts as "n0".
6. An entry after the first that must not count (its domain did not exist when it was set, or the setter's
   connection lacks the wildcard) is kept with a capital letter and told with a small one, and is nothing
   else: it names nobody. A domain's entries and nodes go when it dies (`engine.lives`), so an entry that
   counts is never older than its domain.

Equal lists share one object (`intern`): 420,000 nodes have a few dozen different lists. Parsing is
remembered for each object. Cost: O(entries), a dictionary look-up when seen before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from xsadapter.arguments import number
from xsadapter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

READ: Final = 1
WRITE: Final = 2
_RIGHTS: Final = {b"n": 0, b"r": READ, b"w": WRITE, b"b": READ | WRITE}
_STALE: Final = frozenset(b"NRWB")
LETTERS: Final = {rights: letter for letter, rights in _RIGHTS.items()}

DOMID_MAX: Final = 65535
ANY_DOMAIN: Final = 0x7FF5
"""The wildcard: an entry with this domid stands for every domain."""

DEFAULT: Final = b"n0\0"
_INTERNED_MAX: Final = 65536


class Entry(NamedTuple):
    """What `domid` may do; in entry 0, who the owner is and what all others may do. A stale one is only told."""

    rights: int
    domid: int
    stale: bool = False


class Listed(NamedTuple):
    """A list, taken apart once: its entries, every domain that they mean, and what GET_PERMS answers."""

    entries: tuple[Entry, ...]
    named: tuple[int, ...]
    text: bytes


_interned: dict[bytes, bytes] = {DEFAULT: DEFAULT}
_parsed: dict[bytes, Listed] = {}


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
    meta = intern(b"".join([_packed(entry) for entry in entries]))
    if meta not in _parsed:
        _parsed[meta] = _listed(entries, meta)
    return meta


def _packed(entry: Entry) -> bytes:
    letter = LETTERS[entry.rights]
    return b"%b%d\0" % (letter.upper() if entry.stale else letter, entry.domid)


def intern(meta: bytes) -> bytes:
    """The one object that stands for all metadata equal to `meta`."""
    if len(_interned) >= _INTERNED_MAX:
        _interned.clear()
        _parsed.clear()
    return _interned.setdefault(meta, meta)


def listed(meta: bytes) -> Listed:
    """The list in a node's metadata, taken apart."""
    found = _parsed.get(meta)
    if found is None:
        kept = meta or DEFAULT
        parts = kept.split(b"\0")[:-1]
        stale = [part[0] in _STALE for part in parts]
        entries = tuple(
            entry._replace(stale=old) for entry, old in zip(parse([part.lower() for part in parts]), stale, strict=True)
        )
        found = _parsed[intern(meta)] = _listed(entries, kept)
    return found


def _listed(entries: tuple[Entry, ...], kept: bytes) -> Listed:
    named = tuple(dict.fromkeys(entry.domid for entry in entries if not entry.stale))
    return Listed(entries, named, kept.lower())


def text(meta: bytes) -> bytes:
    """What GET_PERMS answers for a node with this metadata."""
    return listed(meta).text


def entries(meta: bytes) -> tuple[Entry, ...]:
    """The list in a node's metadata."""
    return listed(meta).entries


def owner(meta: bytes) -> int:
    """The domid that owns a node with this metadata."""
    return listed(meta).entries[0].domid


def owns(meta: bytes, identities: tuple[int, ...]) -> bool:
    """Whether one of the domains owns a node with this metadata."""
    domid = listed(meta).entries[0].domid
    return domid in identities or domid == ANY_DOMAIN


def allows(meta: bytes, identities: tuple[int, ...], rights: int) -> bool:
    """Whether a caller that is these domains (itself, and its target) has all of `rights` on such a node."""
    found = listed(meta).entries
    first = found[0]
    if first.domid in identities or first.domid == ANY_DOMAIN:
        return True
    for entry in found[1:]:
        if not entry.stale and (entry.domid in identities or entry.domid == ANY_DOMAIN):
            return entry.rights & rights == rights
    return first.rights & rights == rights


def inherited(parent: bytes, creator: int | None) -> bytes:
    """The list of a node created below `parent`; `creator` is the domid of an unprivileged creator, else None."""
    if creator is None:
        return parent or DEFAULT
    first, *rest = entries(parent)
    return pack((Entry(first.rights, creator), *rest))


def judged(wanted: tuple[Entry, ...], exists: Callable[[int], bool], wildcard: bool) -> tuple[Entry, ...]:
    """A list as SET_PERMS may store it: ENOENT if its owner does not exist; others that do not are stale."""
    first, *rest = wanted
    if not (wildcard if first.domid == ANY_DOMAIN else exists(first.domid)):
        raise RequestError("ENOENT")
    return (
        first,
        *(entry._replace(stale=not (wildcard if entry.domid == ANY_DOMAIN else exists(entry.domid))) for entry in rest),
    )


def without(meta: bytes, domid: int) -> bytes:
    """The list less every entry of a domain after the first, which stays."""
    first, *rest = entries(meta)
    return pack((first, *(entry for entry in rest if entry.domid != domid)))
