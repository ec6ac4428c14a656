"""Putting a tick off: its net is made from the tables and the trees, and read back on top of them.

Rule: a commit's delta is beside the one that it would be stored beside at a tick: the one before it on its branch, or
its fork point. The tables do not change while a net counts, so what it was made on is there when it is read.
Cost: O(what differs) to make, as much to read, and what has to be loaded for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt
from rrdstore.history.history import Due
from rrdstore.storage import delta, net
from rrdstore.storage.protocol import PutOff, SeriesState, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore.history.commit import Record
    from rrdstore.storage.kept import KeptTable
    from rrdstore.storage.layout import Layout
    from rrdstore.storage.protocol import Tick
    from rrdstore.tree.node import Node


def made(tick: Tick, kept: KeptTable, root: Callable[[Record], Node], layout: Layout) -> bytes:
    """The net of a tick, as bytes; Corrupt, LimitReached, TooLarge."""
    forks = {branch.id: branch.fork for branch in tick.branches}
    fresh: dict[int, Node] = {}
    newest: dict[int, int] = {}
    trees: list[tuple[int, bytes]] = []
    for record in tick.store:
        before = kept.before(record, fresh, newest, forks)
        beside = fresh.get(before)
        if beside is None and before in kept.commits:
            beside = root(kept.commits[before].record)
        tree = record.root or root(record)
        trees.append((before if beside else 0, delta.encode(tree, beside)))
        fresh[record.number] = tree
        newest[record.branch] = record.number
    return net.encode(tick, trees, layout)


def applied(state: State, data: bytes, kept: KeptTable, root: Callable[[Record], Node]) -> State:
    """What there is if the tables have `state` and the journal this net; Corrupt."""
    found = net.decode(data)
    records = {record.number: record for record in state.commits}
    gone = [records.pop(number) for number in found.drop if number in records]
    changed = {number: records[number] for number in found.changed if number in records}
    for number, record in changed.items():
        record.thinned, record.grafts, record.authors = found.changed[number]
    fresh: dict[int, Record] = {}
    for record, before, tree in found.fresh:
        beside = fresh[before].root if before in fresh else None
        if before and beside is None:
            if before not in kept.commits:
                raise Corrupt(
                    "a net of the journal", f"a tree beside commit {before}", "a commit that a tick has stored"
                )
            beside = root(kept.commits[before].record)
        record.root = delta.decode(tree, beside)
        fresh[record.number] = records[record.number] = record
    series = state.series
    if series is not None and found.series is not None:
        columns = list(series.records)
        for index, column in found.series.records.items():
            columns[index] = column
        series = SeriesState(series.declared, columns)
    return replace(
        state,
        number=found.number,
        line=found.line,
        commits=[record for _, record in sorted(records.items())],
        branches=found.branches,
        tags=found.tags,
        pins=found.pins,
        series=series,
        put_off=PutOff(Due(fresh, gone, changed, 1), found.series),
    )
