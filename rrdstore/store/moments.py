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

_ID = re.compile(r"(\d{1,19})(?:-([0-9a-f]{0,8}))?")


@dataclass(frozen=True, slots=True)
class Found:
    """A commit, the next kept one of the branch it was looked up on, and whether it is it without doubt."""

    record: Record
    following: Record | None
    exact: bool


def find(history: History, uuid: bytes, line: Line, last: int, when: str | datetime | int, now: int) -> Found:
    """What `when` means on a branch: tag, moment, id or unique prefix of an id, in this order.

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


def by_id(history: History, uuid: bytes, last: int, text: str) -> int:
    """The number of the kept commit whose id is or uniquely begins with `text`; NotFound, Thinned. O(kept)."""
    graph = history.graph
    match = _ID.fullmatch(text)
    if match is None:
        raise NotFound("commit", text)
    number = int(match[1])
    if match[2] is not None:
        record = graph.records.get(number)
        if record is not None and commit_id(uuid, record.key).startswith(text):
            return number
        if record is None and 0 < number <= last and len(match[2]) == 8:
            _raise_if_thinned(history, uuid, number, text)
        raise NotFound("commit", text)
    if number in graph.records:
        return number
    close = [kept for kept in graph.numbers if str(kept).startswith(text)]
    if len(close) == 1:
        return close[0]
    raise NotFound("commit", text if not close else f"{text} (the beginning of {len(close)} ids)")


def _raise_if_thinned(history: History, uuid: bytes, number: int, text: str) -> None:
    before, after = history.graph.around(number)
    first = before.epoch if before else 1
    for epoch in range(first, (after.epoch if after else first) + 1):
        if commit_id(uuid, Key(number, epoch)) == text:
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
