"""CONTROL history ...: the past, for clients that have nothing but the socket.

Rules
1. These only read. A path or moment that means nothing is EINVAL, what is not there or not kept any more is ENOENT.
2. Some answer in lines, for whoever types `xenstore-control history ...`; the command line `rrdstore` can do more.
   The others answer as READ, DIRECTORY_PART and GET_PERMS do, for clients that read the past as they read the
   present (`xsadapter.tools.past`): `commit` names the commit of a moment, and the others are asked of that one.
3. A path of an index (`/@index/...`) is one here too, also where the tree has none yet (`engine.index`).

Cost: that of the engine's own look-ups; `names` O(names) for the first part of a listing and O(reply) for the others,
while no more than eight listings are asked for; `log` with a path compares each kept commit with the one before.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import rrdstore
from xsadapter.arguments import number
from xsadapter.engine import index, permissions, private
from xsadapter.engine.notices import escaped
from xsadapter.errors import RequestError
from xsadapter.paths import canonical
from xsadapter.wire import PAYLOAD_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xsadapter.engine.daemon import Daemon

_SHOWN: Final = 20
_SHOWN_MAX: Final = 1000
_LISTINGS: Final = 8


class Question(NamedTuple):
    """One of the verbs: how many parameters, what answers it, and how it is spelled for `help`."""

    least: int
    most: int
    answer: Callable[[Daemon, list[bytes]], bytes | Iterator[str]]
    """Bytes as they are, or lines."""
    usage: str


def _info(daemon: Daemon, _: list[bytes]) -> Iterator[str]:
    info = daemon.store.info()
    yield f"store {info.path or 'in memory'}"
    yield f"commits made {info.commits}, kept {info.kept} of at most {info.bound}"
    if info.size:
        yield f"bytes used {info.used} of {info.size}"
    yield f"built {rrdstore.BUILD}"
    for trouble in daemon.troubles.told(info, daemon.flow.now):
        yield f"trouble: {trouble}"
    for branch in info.branches:
        yield f"branch {branch.name} at {branch.head}: {branch.keep}"
        for tier in branch.tiers:
            yield f"  {tier.tier} {tier.used} of {tier.rows}"


def _log(daemon: Daemon, parameters: list[bytes]) -> Iterator[str]:
    path = _path(parameters[0]) if parameters else None
    count = number(parameters[1], _SHOWN_MAX) if len(parameters) > 1 else _SHOWN
    for commit in islice(daemon.branch.log(path), count):
        thinned = f" (+{commit.thinned})" if commit.thinned else ""
        yield f"{commit.id}{thinned} {_moment(commit)} {commit.author}: {commit.message}"


def _at(daemon: Daemon, parameters: list[bytes]) -> Iterator[str]:
    moment, path = _text(parameters[0]), _path(parameters[1])
    with daemon.branch.at(moment) as snapshot:
        yield _reached(snapshot)
        yield escaped(_node(daemon, snapshot, path).value)


def _list(daemon: Daemon, parameters: list[bytes]) -> Iterator[str]:
    moment, path = _text(parameters[0]), _path(parameters[1])
    with daemon.branch.at(moment) as snapshot:
        yield _reached(snapshot)
        yield from _below(daemon, snapshot, path)


def _diff(daemon: Daemon, parameters: list[bytes]) -> Iterator[str]:
    with daemon.branch.at(_text(parameters[0])) as old, daemon.branch.at(_text(parameters[1])) as new:
        for change in daemon.store.diff(old, new):
            if change.path.startswith(private.ROOT):
                continue
            if change.old is None:
                yield f"+ {change.path}"
            elif change.new is None:
                yield f"- {change.path}"
            else:
                yield f"! {change.path}"


def _explain(daemon: Daemon, parameters: list[bytes]) -> Iterator[str]:
    found = daemon.store.explain(_text(parameters[0]))
    if not found.kept:
        yield f"{found.id} was thinned; nearest kept: {found.before or 'none'} before, {found.after or 'none'} after"
    for reason in found.reasons:
        yield f"{found.id} is kept by {reason}"


def _commit(daemon: Daemon, parameters: list[bytes]) -> bytes:
    with daemon.branch.at(_text(parameters[0])) as snapshot:
        return snapshot.commit.id.encode() + b"\0"


def _value(daemon: Daemon, parameters: list[bytes]) -> bytes:
    return _of(daemon, parameters).value


def _names(daemon: Daemon, parameters: list[bytes]) -> bytes:
    path = _path(parameters[1])
    with daemon.branch.at(_text(parameters[0])) as snapshot:
        listing = _listing(daemon, snapshot, path)
    start = number(parameters[2], len(listing))
    if start and listing[start - 1]:
        raise RequestError("EINVAL")
    end = len(listing)
    if end - start >= PAYLOAD_MAX:
        end = listing.rindex(b"\0", 0, start + PAYLOAD_MAX) + 1
    return listing[start:end] + (b"\0" if end == len(listing) else b"")


def _listing(daemon: Daemon, snapshot: rrdstore.Snapshot, path: str) -> bytes:
    """Names with a NUL each; remembered, since they are asked for part by part."""
    key = snapshot.commit.id, path
    found = daemon.past_listings.get(key)
    if found is None:
        found = "".join([f"{name}\0" for name in _below(daemon, snapshot, path)]).encode()
        while len(daemon.past_listings) >= _LISTINGS:
            del daemon.past_listings[next(iter(daemon.past_listings))]
        daemon.past_listings[key] = found
    return found


def _permissions(daemon: Daemon, parameters: list[bytes]) -> bytes:
    return permissions.text(_of(daemon, parameters).meta)


def _of(daemon: Daemon, parameters: list[bytes]) -> rrdstore.Node:
    path = _path(parameters[1])
    with daemon.branch.at(_text(parameters[0])) as snapshot:
        return _node(daemon, snapshot, path)


def _node(daemon: Daemon, snapshot: rrdstore.Snapshot, path: str) -> rrdstore.Node:
    if not index.is_index(path):
        return snapshot.stat(path)
    found = index.node(daemon.head.indexes.then(snapshot.tree, path), path, "value")
    if found is None:
        raise RequestError("ENOENT")
    return found


def _below(daemon: Daemon, snapshot: rrdstore.Snapshot, path: str) -> tuple[str, ...]:
    if index.is_index(path):
        _node(daemon, snapshot, path)
        return index.names(daemon.head.indexes.then(snapshot.tree, path), path)
    return tuple(name for name in snapshot.list(path) if name != private.NAME)


QUESTIONS: Final = {
    b"info": Question(0, 0, _info, "info"),
    b"log": Question(0, 2, _log, "log [<path> [<count>]]"),
    b"at": Question(2, 2, _at, "at <when> <path>"),
    b"list": Question(2, 2, _list, "list <when> <path>"),
    b"diff": Question(2, 2, _diff, "diff <when> <when>"),
    b"explain": Question(1, 1, _explain, "explain <commit>"),
    b"commit": Question(1, 1, _commit, "commit <when>"),
    b"value": Question(2, 2, _value, "value <when> <path>"),
    b"names": Question(3, 3, _names, "names <when> <path> <offset>"),
    b"permissions": Question(2, 2, _permissions, "permissions <when> <path>"),
}


def usages() -> list[str]:
    """How each verb is spelled."""
    return [question.usage for question in QUESTIONS.values()]


def answer(daemon: Daemon, strings: list[bytes]) -> bytes | str:
    """The answer, text or bytes as they are; EINVAL, ENOENT."""
    name, *parameters = strings
    question = QUESTIONS.get(name)
    if question is None or not question.least <= len(parameters) <= question.most:
        raise RequestError("EINVAL")
    try:
        found = question.answer(daemon, parameters)
        return found if isinstance(found, bytes) else "".join(f"{line}\n" for line in found)
    except (rrdstore.NotFound, rrdstore.Thinned):
        raise RequestError("ENOENT") from None
    except (rrdstore.InvalidWhen, rrdstore.InvalidPath):
        raise RequestError("EINVAL") from None


def _text(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise RequestError("EINVAL") from None


def _path(data: bytes) -> str:
    if not data.startswith(b"/"):
        raise RequestError("EINVAL")
    return canonical(data, "")


def _moment(commit: rrdstore.Commit) -> str:
    return f"{commit.time:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def _reached(snapshot: rrdstore.Snapshot) -> str:
    since, until = snapshot.window
    end = "now" if until is None else f"{until:%Y-%m-%dT%H:%M:%SZ}"
    sure = "" if snapshot.exact else ", changes in between were thinned"
    return f"{snapshot.commit.id}: from {since:%Y-%m-%dT%H:%M:%SZ} to {end}{sure}"
