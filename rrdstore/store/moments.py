"""From what a user calls a commit to the commit: an id, a unique prefix of one, a tag, or a moment."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrdstore.errors import InvalidWhen, NotFound, Thinned
from rrdstore.history.commit import Key, commit_id
from rrdstore.history.when import parse_when

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rrdstore.history.branch import Line
    from rrdstore.history.commit import Record
    from rrdstore.history.history import History

_ID = re.compile(r"([1-9][0-9]{0,18})(?:-([0-9a-f]{0,8}))?")


@dataclass(frozen=True, slots=True)
class Found:
    """A commit, the next kept one of the branch it was looked up on, and whether it is it without doubt."""

    record: Record
    following: Record | None
    exact: bool


def find(history: History, uuid: bytes, line: Line, last: Key, when: str | datetime | int, now: int) -> Found:
    """What `when` means on a branch: tag, moment, number, id or prefix of an id, in this order.

    A moment is the newest kept commit at or before it. NotFound, Thinned, InvalidWhen. O(forks x log kept).
    """
    if isinstance(when, str):
        if when in history.tags:
            return _as_commit(history, line, history.tags[when].number)
        match = _ID.fullmatch(when)
        if match is not None:  # No moment is written so.
            return _as_commit(history, line, _numbered(history, uuid, last, when, match))
    moment = parse_when(when, now)
    if moment is None:
        raise InvalidWhen(str(when), "a tag, an id, '2h ago', '@unix', 'YYYY-MM-DD[THH:MM[:SS]]' or a datetime")
    return _at(history, line, moment, str(when))


def by_id(history: History, uuid: bytes, last: Key, text: str) -> int:
    """The number of the kept commit whose id is or begins with `text`; `last` is the newest number and epoch.

    The number in full is the least that tells one commit from all others: the beginning of a number is that of
    many that were thinned. NotFound, Thinned. O(log kept), and O(openings) for a thinned one.
    """
    match = _ID.fullmatch(text)
    if match is None:
        raise NotFound("commit", text)
    return _numbered(history, uuid, last, text, match)


def _numbered(history: History, uuid: bytes, last: Key, text: str, match: re.Match[str]) -> int:
    number = int(match[1])
    record = history.graph.records.get(number)
    if record is None and number <= last.number:
        _raise_if_thinned(history, uuid, Key(number, last.epoch), text)
    if record is None or (match[2] is not None and not commit_id(uuid, record.key).startswith(text)):
        raise NotFound("commit", text)
    return number


def _raise_if_thinned(history: History, uuid: bytes, latest: Key, text: str) -> None:
    """Thinned if `text` is or begins the id of this number, made in an epoch up to this one."""
    before, after = history.graph.around(latest.number)
    for epoch in range(before.epoch if before else 1, (after.epoch if after else latest.epoch) + 1):
        if commit_id(uuid, Key(latest.number, epoch)).startswith(text):
            raise Thinned(
                text,
                commit_id(uuid, before.key) if before else None,
                commit_id(uuid, after.key) if after else None,
            )


def _stretches(history: History, line: Line) -> Iterator[tuple[list[int], int]]:
    """The kept commits a branch has been at, newest stretch first: a branch's own, and how many of them, oldest first.

    Its own, and its upstreams' up to the fork points.
    """
    lines, records = history.graph.lines, history.graph.records
    own = lines.get(line.id, [])
    yield own, len(own)
    fork = line.fork
    while fork:
        origin = records[fork].branch
        own = lines.get(origin, [])
        yield own, bisect_right(own, fork)
        fork = history.lines[origin].fork if origin in history.lines else 0


def _at(history: History, line: Line, moment: int, text: str) -> Found:
    records, after = history.graph.records, 0
    for numbers, count in _stretches(history, line):
        at = bisect_right(numbers, moment, 0, count, key=lambda number: records[number].rt)
        if at:
            following = records.get(numbers[at] if at < count else after)
            return Found(records[numbers[at - 1]], following, following is None or following.thinned == 0)
        after = numbers[0] if count else after
    raise NotFound("commit at or before", text)


def _as_commit(history: History, line: Line, number: int) -> Found:
    records, after = history.graph.records, 0
    for numbers, count in _stretches(history, line):
        at = bisect_left(numbers, number, 0, count)
        if at < count and numbers[at] == number:
            return Found(records[number], records.get(numbers[at + 1] if at + 1 < count else after), True)
        after = numbers[0] if count else after
    return Found(records[number], None, True)
