"""What our daemon knows and Xen's records have no field for: one record of a type of ours, which others leave out.

Rules
1. The body is JSON in ASCII, behind it NULs. A key that is not known is left out, one that is missing has its
   default: so an older and a newer version of ours understand each other. What is the default is not written.
2. A value of another kind than is expected, or a key of clients and domains that is no number, is refused.
3. Only what another record does not say is here; so a stream of ours is read by others, who know less.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from xsadapter.engine.columns import NO_DOMAINS, NO_RINGS, Known, Rings
from xsadapter.stream.records import Foreign, StreamError, padded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KIND: Final = 0x72726462
_DIGITS: Final = 10
_MOST: Final = 1 << 64
_LAST: Final = "\xff"
T = TypeVar("T")
_NAME: Final = "record of ours"


@dataclass(frozen=True, slots=True)
class Client:
    """Beside a CONNECTION_DATA: who it is."""

    domid: int = 0
    peer: str = ""
    privileged: bool = True
    port: int = 0
    ignored: bool = False
    next_transaction: int = 1
    transactions: list[list[int]] = field(default_factory=list)
    """Number, and 1 if anything was asked in it."""
    listener: str = ""
    """The client socket that it came by; empty for the daemon's own."""
    cuts: list[int] = field(default_factory=list)
    """How long each message is that was not sent."""
    asked: dict[str, list[list[Any]]] = field(default_factory=dict)
    """By transaction, kind, payload (a character for each byte) and outcome of each request, if they are to be asked
    again."""
    owed: list[int] = field(default_factory=list)
    """What it is to be told when it has read what waits, of those below."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Beside a DOMAIN_DATA: who it is, and whose rights it has."""

    unique: int = 0
    target: int | None = None
    shut: bool = False
    nodes: int = 0
    stored: int = 0
    """Bytes of its nodes."""
    places: dict[str, int] = field(default_factory=dict)
    """How many nodes name it, by area."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """All of it."""

    head: str = ""
    """The commit whose tree is meant, if the stream has no nodes."""
    serial: int = 0
    clients: dict[str, Client] = field(default_factory=dict)
    """By the connection's id in decimal."""
    domains: dict[str, Domain] = field(default_factory=dict)
    listeners: dict[str, int] = field(default_factory=dict)
    """Descriptors of client sockets, as PATH:DOMID:UID."""
    pipe: int | None = None
    """The descriptor of a simulated hypervisor's pipe."""
    counted: bool = False
    """Whether what each domain has of the tree is said."""
    generation: int = 0
    """Of what is written down; see `outgoing.Carriers`."""
    far: int = 0
    rings: Rings = NO_RINGS
    """Connections that no other record tells of."""
    known: Known = NO_DOMAINS
    """Domains likewise."""
    owed: list[list[list[Any]]] = field(default_factory=list)
    """Changes that guests are to be told of: path, whether only to who watches exactly it, and the lists that say who
    may know (a character for each byte)."""


def pack(beyond: Beyond) -> Foreign:
    """The record. O(its size)."""
    body = json.dumps(beyond, default=_said, separators=(",", ":")).encode("ascii")
    return Foreign(KIND, body.ljust(padded(len(body)), b"\0"))


def unpack(record: Foreign) -> Beyond:
    """What the record says; StreamError."""
    try:
        found = json.loads(record.body.rstrip(b"\0"))
        found["clients"] = _numbered(found.get("clients", {}), Client)
        found["domains"] = _numbered(found.get("domains", {}), Domain)
        found["rings"], found["known"] = _rings(found.get("rings", {})), _known(found.get("known", {}))
        made = _made(Beyond, found)
        if any(number >= len(made.owed) for client in made.clients.values() for number in client.owed):
            raise ValueError("what a client is owed is not there")
        return made
    except (ValueError, TypeError, AttributeError) as error:
        raise StreamError(_NAME, 0, f"{record.body[:80]!r}", f"an object of JSON with our keys ({error})") from None


def _made(kind: type[T], found: Mapping[str, Any]) -> T:
    shapes = _SHAPES[kind]
    for name, value in found.items():
        if name in shapes and not shapes[name](value):
            raise ValueError(f"{name} is {value!r:.40}")
    return kind(**{name: value for name, value in found.items() if name in shapes})


def _numbered(found: Mapping[str, Any], kind: type[T]) -> dict[str, T]:
    for name in found:
        if not _is_number(name):
            raise ValueError(f"key {name:.40}")
    return {name: _made(kind, each) for name, each in found.items()}


def _rings(found: Mapping[str, Any]) -> Rings:
    made = _made(Rings, found)
    count = len(made.serials)
    if any(len(column) != count for column in (made.domids, made.ports, made.following)):
        raise ValueError("columns of rings of several lengths")
    if len(made.channels) not in {0, count} or len(set(made.serials)) != count or len(set(made.domids)) != count:
        raise ValueError("a ring twice")
    return made


def _known(found: Mapping[str, Any]) -> Known:
    made = _made(Known, found)
    count = len(made.domids)
    if any(len(column) != count for column in (made.uniques, made.features, made.limits)):
        raise ValueError("columns of domains of several lengths")
    if any(len(column) not in {0, count} for column in (made.nodes, made.stored, made.places)):
        raise ValueError("columns of charges of several lengths")
    if len({len(made.nodes), len(made.stored), len(made.places)}) != 1 or len(set(made.domids)) != count:
        raise ValueError("a domain twice, or half of its charges")
    if max(made.limits, default=-1) >= len(made.kinds):
        raise ValueError("limits of no kind")
    if not all(map(_is_number, made.targets)):
        raise ValueError("a target of no domain")
    return made


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= _DIGITS


def _truth(value: object) -> bool:
    return value.__class__ is bool


def _text(value: object) -> bool:
    return value.__class__ is str


def _number(value: object) -> bool:
    return value.__class__ is int and 0 <= value < _MOST


def _perhaps(value: object) -> bool:
    return value is None or _number(value)


def _pairs(value: object) -> bool:
    return value.__class__ is list and all(
        each.__class__ is list and len(each) == 2 and all(map(_number, each)) for each in cast("list[list[int]]", value)
    )


def _numbers(value: object) -> bool:
    if value.__class__ is not list:
        return False
    numbers = cast("list[int]", value)
    # As `_number` of each, for ten thousand.
    return not numbers or (set(map(type, numbers)) == {int} and min(numbers) >= 0 and max(numbers) < _MOST)


def _counts(value: object) -> bool:
    return value.__class__ is dict and _numbers([*cast("dict[str, int]", value).values()])


def _many_counts(value: object) -> bool:
    return value.__class__ is list and all(map(_counts, cast("list[object]", value)))


def _requests(value: object) -> bool:
    return value.__class__ is dict and all(
        each.__class__ is list and all(map(_request, each)) for each in cast("dict[str, Any]", value).values()
    )


def _request(value: object) -> bool:
    match value:
        case [kind, str() as payload, str()] if _number(kind):
            return payload.isascii() or max(payload) <= _LAST
    return False


def _changes(value: object) -> bool:
    return value.__class__ is list and all(
        each.__class__ is list and bool(each) and all(map(_change, each)) for each in cast("list[list[object]]", value)
    )


def _change(value: object) -> bool:
    match value:
        case [str() as path, bool(), [*lists]]:
            return path.isascii() and all(each.__class__ is str and max(each, default="") <= _LAST for each in lists)
    return False


def _any(_: object) -> bool:
    return True


_SHAPES: Final[dict[type[Any], dict[str, Callable[[object], bool]]]] = {
    Client: {
        "domid": _number,
        "peer": _text,
        "privileged": _truth,
        "port": _number,
        "ignored": _truth,
        "next_transaction": _number,
        "transactions": _pairs,
        "listener": _text,
        "cuts": _numbers,
        "asked": _requests,
        "owed": _numbers,
    },
    Domain: {
        "unique": _number,
        "target": _perhaps,
        "shut": _truth,
        "nodes": _number,
        "stored": _number,
        "places": _counts,
    },
    Beyond: {
        "head": _text,
        "serial": _number,
        "clients": _any,
        "domains": _any,
        "listeners": _counts,
        "pipe": _perhaps,
        "counted": _truth,
        "generation": _number,
        "far": _number,
        "rings": _any,
        "known": _any,
        "owed": _changes,
    },
    Rings: dict.fromkeys(("serials", "domids", "ports", "following", "channels"), _numbers),
    Known: {
        **dict.fromkeys(("domids", "uniques", "features", "limits", "shut", "nodes", "stored"), _numbers),
        "kinds": _many_counts,
        "targets": _counts,
        "places": _many_counts,
    },
}
"""What each key may be; those of clients and domains are looked at one by one."""


def _defaults(kind: type[Any]) -> Mapping[str, Any]:
    """Of each field."""
    factories = {each.name: each.default_factory for each in fields(kind)}
    return {
        each.name: each.default if each.default is not MISSING else factories[each.name]()  # type: ignore[operator]
        for each in fields(kind)
    }


_DEFAULTS: Final[dict[type[Any], Mapping[str, Any]]] = {kind: _defaults(kind) for kind in _SHAPES}
_ALL: Final = {kind: attrgetter(*defaults) for kind, defaults in _DEFAULTS.items()}


def _said(value: Any) -> dict[str, Any]:
    """One of the classes above, without what is the default."""
    kind = type(value)
    pairs = zip(_DEFAULTS[kind].items(), _ALL[kind](value), strict=True)
    return {name: found for (name, usual), found in pairs if found != usual}
