"""From what a user calls a commit to the commit: an id, a unique prefix of one, a tag, or a moment."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrdstore.errors import InvalidWhen, NotFound, Thinned
from rrdstore.history.commit import Key, commit_id
from rrdstore.history.when import parse_when

if TYPE_CHECKING:
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

    A moment is the newest kept commit at or before it. NotFound, Thinned, InvalidWhen. O(kept).
    """
    if isinstance(when, str) and when in history.tags:
        return _as_commit(history, line, history.tags[when].number)
    moment = parse_when(when, now)
    if moment is not None:
        return _at(history, line, moment, str(when))
    match = _ID.fullmatch(str(when))
    if match is None:
        raise InvalidWhen(str(when), "a tag, an id, '2h ago', '@unix', 'YYYY-MM-DD[THH:MM[:SS]]' or a datetime")
    number = by_id(history, uuid, last, str(when))
    return _as_commit(history, line, number)


def by_id(history: History, uuid: bytes, last: Key, text: str) -> int:
    """The number of the kept commit whose id is or begins with `text`; `last` is the newest number and epoch.

    The number in full is the least that tells one commit from all others: the beginning of a number is that of
    many that were thinned. NotFound, Thinned. O(log kept), and O(openings) for a thinned one.
    """
    match = _ID.fullmatch(text)
    if match is None:
        raise NotFound("commit", text)
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


def lineage(history: History, line: Line) -> list[int]:
    """The kept commits a branch has been at, oldest first: its own, and its upstreams' up to the fork points."""
    parts = [history.graph.lines.get(line.id, [])]
    fork = line.fork
    while fork:
        origin = history.graph.records[fork].branch
        own = history.graph.lines.get(origin, [])
        parts.append(own[: bisect_right(own, fork)])
        fork = history.lines[origin].fork if origin in history.lines else 0
    return [number for part in reversed(parts) for number in part]


def _at(history: History, line: Line, moment: int, text: str) -> Found:
    numbers = lineage(history, line)
    records = [history.graph.records[number] for number in numbers]
    at = bisect_right(records, moment, key=lambda record: record.rt)
    if not at:
        raise NotFound("commit at or before", text)
    following = records[at] if at < len(records) else None
    return Found(records[at - 1], following, following is None or following.thinned == 0)


def _as_commit(history: History, line: Line, number: int) -> Found:
    record = history.graph.records[number]
    numbers = lineage(history, line)
    at = bisect_right(numbers, number)
    following = history.graph.records[numbers[at]] if at < len(numbers) and number in numbers else None
    return Found(record, following, True)
