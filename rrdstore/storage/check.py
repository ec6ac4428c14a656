"""Checking a ring file: every row and object verified, and a full mark against what is not freed.

Rule: freeing decides by two neighbours alone; the mark decides by reaching everything from what is kept.
They must agree: what is alive and not reached has leaked, what is reached and not alive is lost. Besides,
every checksum, every number that refers to another, every count that is kept beside what it counts.
Each fault is a Problem and the check goes on. Cost: O(everything); memory one number an object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdstore.errors import Corrupt, StoreError
from rrdstore.storage import cells, lineage, net, rows
from rrdstore.storage.codec import decode
from rrdstore.storage.container import file_size
from rrdstore.storage.kept import KeptTable
from rrdstore.storage.layout import CHARGE, MIB, PAGE
from rrdstore.storage.locking import SUFFIX
from rrdstore.storage.packing import HEADER, Missing, header, unpack, whole
from rrdstore.storage.protocol import Problem
from rrdstore.storage.records import read_branches, read_dying, read_pins, read_tags
from rrdstore.storage.refs import Refs
from rrdstore.storage.shape import Place, Shapes, below

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rrdstore.history.commit import Key
    from rrdstore.storage.container import Container
    from rrdstore.storage.journal import Journal
    from rrdstore.storage.objects import Objects
    from rrdstore.storage.protocol import BranchState, Progress
    from rrdstore.storage.records import Dying
    from rrdstore.storage.segments import Segments
    from rrdstore.storage.superblock import Superblock
    from rrdstore.tree.node import Bucket, Node, Wide

_QUICK = 64 * MIB
"""The largest file of which SQLite's own pages are checked too, as that holds the log."""


class _Nowhere:
    """The source of parts that are decoded to be verified only."""

    keeps = True

    def load(self, number: int) -> Node | Bucket | Wide:
        raise Corrupt(f"object {number}", "a part loaded during a check", "none")


def check(held: Container, objects: Objects, ring: Journal, progress: Progress | None = None) -> list[Problem]:
    """All faults of a file and its journal; `objects` as of now. `progress(done, all)` is called now and then."""
    problems = [*_container(held), *cells.problems(held)]
    superblock = objects.superblock
    try:
        kept = KeptTable(held.rows("kept"), held.layout.links, held.rows("author"))
        dying = read_dying(held.rows("dying"), superblock.dying)[superblock.reaped :] if superblock.dying else []
    except StoreError as fault:
        # Without these nothing can be said of what should be alive.
        return [*problems, _problem(fault, "table kept")]
    problems += _rows(held, kept, superblock, ring)
    reached, faults = _marked(objects, kept, dying, progress)
    return [*problems, *faults, *_placed(objects, reached)]


def _container(held: Container) -> Iterator[Problem]:
    path, layout, superblock = held.path, held.layout, held.superblock()
    found = file_size(path)
    if found != superblock.pages * PAGE:
        yield Problem(path, f"{found} bytes", f"{superblock.pages * PAGE}, as at creation")
    total = sum(file_size(path + end) for end in ("", "-wal", "-shm", SUFFIX))
    if total > layout.size:
        yield Problem(path, f"{total} bytes in all its files", f"at most {layout.size}")
    for where, was, expected in held.strangers():
        yield Problem(f"{path}, {where}", was, expected)
    if layout.size <= _QUICK:
        for said in held.verdict():
            yield Problem(f"{path}, its pages", said, "ok")


def _rows(held: Container, kept: KeptTable, superblock: Superblock, ring: Journal) -> Iterator[Problem]:
    """What the tables and the journal say of each other; a table that cannot be read is one problem."""
    records = {number: one.record for number, one in kept.commits.items() if not one.ghost}
    yield from lineage.commits(kept, superblock)
    yield from rows.problems(held, kept, superblock)
    states: list[BranchState] | None = None
    tags: dict[str, Key] | None = None
    pins: frozenset[int] | None = None
    try:
        states = read_branches(held.rows("branch"))
        yield from lineage.branches(states, records, superblock.line)
    except StoreError as fault:
        yield _problem(fault, "table branch")
    try:
        tags = read_tags(held.rows("tag"))
        yield from lineage.names(tags, frozenset(), records)
    except StoreError as fault:
        yield _problem(fault, "table tag")
    try:
        pins = read_pins(held.rows("pin"))
        yield from lineage.names({}, pins, records)
    except StoreError as fault:
        yield _problem(fault, "table pin")
    entries, data, wrong = ring.verified(superblock.generation, superblock.start)
    if wrong:
        yield _problem(wrong, ring.path)
        return
    there, last = [record.key for record in records.values()], superblock.number
    try:
        if data:
            found = net.decode(data)
            states, tags, pins, last = found.branches, found.tags, found.pins, found.number
            there += [one.record.key for one in found.fresh]
    except Corrupt as fault:
        yield _problem(fault, ring.path)
        return
    if states and tags is not None and pins is not None:
        yield from lineage.entries(entries, Refs.of(there, last, states, tags, pins))


def _marked(
    objects: Objects, kept: KeptTable, dying: Sequence[Dying], progress: Progress | None
) -> tuple[set[int], list[Problem]]:
    """All objects that kept commits reach, and those that dying ones still do; each verified."""
    reached: set[int] = set()
    problems: list[Problem] = []
    shapes = Shapes(objects.superblock.number)
    roots = [(one.record.root_number, f"commit {number}", True) for number, one in sorted(kept.commits.items())]
    roots += [(one.root, "a dropped commit", False) for one in dying]
    for done, (root, owner, whole_tree) in enumerate(roots, 1):
        stack = [Place(root, 1 << 63)]
        while stack:
            place = stack.pop()
            number, above = place.number, place.above
            if number in reached:
                continue
            if not 0 < number < above:
                problems.append(Problem(f"object {above} of {owner}", f"a reference to {number}", "a lower number"))
                continue
            try:
                kind, data = objects.read(number)
                pieces = objects.pieces(number)
                part = decode(kind, data, number, _Nowhere())
            except Missing:
                if whole_tree:
                    problems.append(Problem(f"object {number} of {owner}", "nothing", "a part of a kept tree"))
                continue
            except StoreError as fault:
                problems.append(_problem(fault, f"object {number} of {owner}"))
                reached.add(number)
                continue
            reached.add(number)
            reached.update(pieces)
            problems += shapes.see(place, part)
            stack += below(place, part)
        if progress:
            progress(done, len(roots))
    return reached, [*problems, *shapes.counts()]


def _placed(objects: Objects, reached: set[int]) -> Iterator[Problem]:
    """Every location against its bytes, and every count against what it counts."""
    segments, grain, superblock = objects.segments, objects.grain, objects.superblock
    live: dict[int, int] = {}
    count = charged = 0
    for slot, segment, offset in objects.places():
        where = f"segment {segment} at {offset}"
        try:
            number, _, data = unpack(segments.read(segment), offset, where)
        except StoreError as fault:
            yield _problem(fault, where)
            continue
        if number % objects.count != slot:
            yield Problem(where, f"object {number}", f"one whose place is {slot}")
            continue
        length = whole(len(data), grain)
        live[segment] = live.get(segment, 0) + length
        count += 1
        charged += max(CHARGE, length)
        # What a tick that never ended wrote is freed by the next writer.
        if number not in reached and not superblock.top < number < superblock.next:
            yield Problem(f"object {number}", "alive", "freed, as no kept commit reaches it")
        if offset + length > segments.used[segment]:
            yield Problem(where, f"object {number} to {offset + length}", f"nothing beyond {segments.used[segment]}")
    for segment in range(segments.count):
        if segments.live[segment] and (end := _end(segments, segment, grain)) != segments.used[segment]:
            yield Problem(f"segment {segment}", f"{segments.used[segment]} bytes used", f"objects to {end}")
        if segments.live[segment] != live.get(segment, 0):
            yield Problem(f"segment {segment}", f"{segments.live[segment]} bytes alive", f"{live.get(segment, 0)}")
    if (superblock.objects, superblock.charged) != (count, charged):
        yield Problem(
            "the superblock", f"{superblock.objects} objects, {superblock.charged} bytes", f"{count}, {charged}"
        )


def _end(segments: Segments, segment: int, grain: int) -> int:
    """Where the objects of a segment end, living or not: they lie one behind the other; -1 if that cannot be told."""
    at, used = 0, segments.used[segment]
    try:
        data = segments.read(segment)
    except StoreError:
        return -1
    while at + HEADER <= min(used, len(data)):
        at += whole(header(data, at)[1], grain)
    return at


def _problem(fault: StoreError, where: str) -> Problem:
    if isinstance(fault, Corrupt):
        return Problem(fault.where, fault.found, fault.expected)
    return Problem(where, str(fault), "no error")
