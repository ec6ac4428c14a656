"""From lines to all that a store is, in memory, and proved.

Rule: what is returned fits together: every line is there and unchanged, every commit that another line speaks
of came before it, ids and the digests of heads are what they should be. Cost: memory for all kept trees
together, what they share counted once.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from blake3 import blake3

from rrdstore.errors import Corrupt, InvalidName, InvalidPath, PolicyError
from rrdstore.history.authors import AUTHORS
from rrdstore.history.branch import NOBODY, Reach
from rrdstore.history.commit import AUTHOR_BYTES, MESSAGE_BYTES, Key, Record, commit_id
from rrdstore.interchange.delta import Step, applied
from rrdstore.interchange.line import Line, decode, read, where, whole
from rrdstore.interchange.series import LoadedSeries
from rrdstore.policy import Rings, parse
from rrdstore.storage import lineage
from rrdstore.storage.protocol import BranchState, Problem, State
from rrdstore.store.config import MAIN
from rrdstore.store.limits import check_name
from rrdstore.tree.digest import digest
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.node import Node, new_node
from rrdstore.tree.path import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(slots=True)
class Loading:
    """What the lines so far have said."""

    uuid: bytes = b""
    epoch: int = 0
    number: int = 0
    line: int = 0
    """The highest branch id ever given out."""
    size: int = 0
    slots: int = 0
    """Of all policies, as many as there was room for; 0 is no bound, or a dump of memory."""
    records: dict[int, Record] = field(default_factory=dict)
    branches: dict[int, BranchState] = field(default_factory=dict)
    tags: dict[str, Key] = field(default_factory=dict)
    pins: set[int] = field(default_factory=set)
    series: LoadedSeries | None = None
    ended: bool = False

    def state(self) -> State:
        """The same, as a storage says it."""
        return State(
            self.uuid,
            self.epoch,
            self.number,
            list(self.records.values()),
            [self.branches[key] for key in sorted(self.branches)],
            self.tags,
            frozenset(self.pins),
            series=None if self.series is None else self.series.state(),
            line=self.line,
        )


def read_all(lines: Iterable[str]) -> Loading:
    """Read a whole dump; Corrupt, naming the line and the field."""
    made, proof = Loading(), blake3()
    number = 0
    for number, text in enumerate(lines, 1):
        kind, line = read(text, number)
        if made.ended:
            raise Corrupt(where(number), "a line", "nothing after the end")
        if (kind == "rrdstore") != (number == 1):
            raise Corrupt(where(number), f"a line {kind!r}", "a line 'rrdstore' at the beginning, and only there")
        if kind == "end":
            _same(number, "end", line["end"], number - 1)
            _same(number, "blake3", line["blake3"], proof.hexdigest())
            made.ended = True
        else:
            proof.update(text.encode(errors="surrogatepass"))
            _READERS[kind](made, line, number)
    if not made.ended:
        raise Corrupt(where(number + 1), "the end of the text", "a line 'end'")
    if not any(branch.name == MAIN for branch in made.branches.values()):
        raise Corrupt("dump", "no branch main", "one")
    for problem in _contradictions(made):
        raise Corrupt(f"dump, {problem.where}", problem.found, problem.expected)
    return made


def _contradictions(made: Loading) -> Iterator[Problem]:
    """What lines that are right by themselves say against each other."""
    for last, record in pairwise(made.records.values()):
        yield from lineage.later(record, last)
    for record in made.records.values():
        if record.branch != NOBODY and record.branch not in made.branches:
            yield Problem(f"commit {record.number}", f"branch {record.branch}", "a line of that branch")
        yield from lineage.links(record, made.records)
    yield from lineage.branches([*made.branches.values()], made.records)


def _begin(made: Loading, line: Line, number: int) -> None:
    _same(number, "rrdstore", line["rrdstore"], "dump")
    made.uuid = _decoded(number, "uuid", line["uuid"], bytes.fromhex)
    if len(made.uuid) != 16:
        raise Corrupt(where(number, "uuid"), f"{len(made.uuid)} bytes", "16 as hex")
    made.epoch, made.number, made.line = line["epoch"], line["number"], line["line"]
    made.size, made.slots = line["size"], line["slots"]


def _commit(made: Loading, line: Line, number: int) -> None:
    name, _, _ = line["commit"].partition("-")
    key = Key(int(name) if name.isdecimal() and len(name) < 20 else 0, line["epoch"])
    newest = next(reversed(made.records), 0)
    if not newest < key.number <= made.number:
        expected = f"a number above {newest} and up to {made.number}"
        raise Corrupt(where(number, "commit"), line["commit"][:40], expected)
    if key.epoch > made.epoch:
        raise Corrupt(where(number, "epoch"), str(key.epoch), f"up to {made.epoch}")
    _same(number, "commit", line["commit"], commit_id(made.uuid, key))
    for what, limit in (("author", AUTHOR_BYTES), ("message", MESSAGE_BYTES)):
        _text(number, what, line[what], limit)
    grafts = [_kept(made, graft, number, "grafts") for graft in line["grafts"]]
    parents = [_parent(pair, number) for pair in line["parents"]]
    start = line["from"]
    before = _root(made.records[_kept(made, start, number, "from")]) if start else EMPTY
    steps = [_removal(path, number) for path in line["removed"]]
    steps += [_step(row, key.number, number) for row in line["set"]]
    try:
        root = applied(before, steps)
    except KeyError as error:
        raise Corrupt(where(number, "removed"), str(error), "a node that is there") from None
    record = Record(
        key.number,
        key.epoch,
        line["branch"],
        tuple(parents),
        line["time"],
        line["wall"],
        line["author"],
        line["message"],
        root,
        tuple(grafts),
        line["thinned"],
        authors=_authors(line, number),
    )
    made.records[key.number] = record


def _authors(line: Line, number: int) -> dict[str, int] | None:
    """Who wrote what a commit stands for; none is one commit, its author's."""
    found: dict[str, int] = line["authors"]
    for name, count in found.items():
        _text(number, "authors", name, AUTHOR_BYTES)
        whole(count, number, "authors")
    if len(found) > AUTHORS or not all(found.values()) or sum(found.values()) > 1 + line["thinned"]:
        said = f"{len(found)} of {sum(found.values())} commits"
        raise Corrupt(where(number, "authors"), said, f"at most {AUTHORS} of {1 + line['thinned']}")
    return found if found or line["thinned"] else None


def _branch(made: Loading, line: Line, number: int) -> None:
    if line["branch"]:
        _named("branch", line["branch"], number)
    for what in ("head", "fork", "base", "older"):
        if line[what]:
            _kept(made, line[what], number, what)
    if line["id"] in made.branches or not 0 < line["id"] <= made.line:
        raise Corrupt(where(number, "id"), str(line["id"]), f"1 to {made.line}, each once")
    rings = _decoded(number, "rings", line["rings"], lambda text: base64.b64decode(text, validate=True))
    try:
        policy = parse(line["keep"])
    except PolicyError as error:
        raise Corrupt(where(number, "keep"), str(error), "a policy") from None
    if line["branch"]:
        own = [(record.rt, record.number) for record in made.records.values() if record.branch == line["id"]]
        try:
            Rings.restore(policy, rings, own)
        except Corrupt as error:
            raise Corrupt(where(number, "rings"), f"{error.where}: {error.found}", error.expected) from None
        head = _root(made.records[_kept(made, line["head"], number, "head")])
        _same(number, "digest", line["digest"], digest(head).hex())
    made.branches[line["id"]] = BranchState(
        line["branch"], line["id"], line["head"], line["fork"], line["upstream"], line["base"], str(policy), rings,
        line["older"], _reach(line, number), line["lease"], line["until"],
    )  # fmt: skip


def _reach(line: Line, number: int) -> Reach:
    found = [whole(part, number, "reach") for part in line["reach"]]
    if len(found) != len(Reach._fields):
        raise Corrupt(where(number, "reach"), f"{len(found)} numbers", f"{len(Reach._fields)}")
    return Reach(*found)


def _tag(made: Loading, line: Line, number: int) -> None:
    _named("tag", line["tag"], number)
    made.tags[line["tag"]] = made.records[_kept(made, line["commit"], number, "commit")].key


def _pin(made: Loading, line: Line, number: int) -> None:
    made.pins.add(_kept(made, line["pin"], number, "pin"))


def _series(made: Loading, line: Line, number: int) -> None:
    if made.series is not None:
        raise Corrupt(where(number), "series again", "one line of it")
    made.series = LoadedSeries.declared_by(line, number)


def _column(made: Loading, line: Line, number: int) -> None:
    if made.series is None:
        raise Corrupt(where(number), "a column", "a line 'series' before it")
    record = _decoded(number, "record", line["record"], lambda text: base64.b64decode(text, validate=True))
    made.series.add(line, record, number)


_READERS: dict[str, Callable[[Loading, Line, int], None]] = {
    "rrdstore": _begin,
    "commit": _commit,
    "branch": _branch,
    "tag": _tag,
    "pin": _pin,
    "series": _series,
    "column": _column,
}


def _same(number: int, field: str, found: object, expected: object) -> None:
    if found != expected:
        raise Corrupt(where(number, field), str(found)[:80], str(expected))


def _kept(made: Loading, commit: object, number: int, field: str) -> int:
    if type(commit) is not int or commit not in made.records:
        raise Corrupt(where(number, field), f"commit {commit!r:.40}", "one of the lines before")
    return commit


def _named(what: str, name: str, number: int) -> None:
    try:
        check_name(what, name)
    except InvalidName as error:
        raise Corrupt(where(number, what), f"{name!r:.40}", error.expected) from None


def _parent(pair: object, number: int) -> Key:
    if not isinstance(pair, list) or len(pair) != 2:
        raise Corrupt(where(number, "parents"), f"{pair!r:.40}", "[number, epoch]")
    return Key(whole(pair[0], number, "parents"), whole(pair[1], number, "epoch"))


def _names(path: object, number: int, field: str) -> tuple[str, ...]:
    if not isinstance(path, str):
        raise Corrupt(where(number, field), f"a path {path!r:.40}", "text")
    try:
        return split(path)
    except InvalidPath as error:
        raise Corrupt(where(number, field), str(error), "a path") from None


def _removal(path: object, number: int) -> Step:
    names = _names(path, number, "removed")
    if not names:
        raise Corrupt(where(number, "removed"), "the root", "a path below it")
    return names, None


def _step(row: object, commit: int, number: int) -> Step:
    if not isinstance(row, list) or [type(made) for made in row[3:]] != [int, int]:
        raise Corrupt(where(number, "set"), f"{row!r:.40}", "[path, value, meta, created, modified]")
    path, value, meta, created, modified = row
    if not 0 <= created <= modified <= commit:
        found = f"{path!r:.40} of commits {created} and {modified}"
        raise Corrupt(where(number, "set"), found, f"0 to {commit}, in order")
    made = new_node(decode(value, number, "set"), decode(meta, number, "set"), created, modified)
    return _names(path, number, "set"), made


def _text(number: int, field: str, text: str, limit: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        size = limit + 1
    if size > limit:
        raise Corrupt(where(number, field), f"{text!r:.40}", f"at most {limit} bytes of UTF-8")


def _decoded(number: int, field: str, text: str, convert: Callable[[str], bytes]) -> bytes:
    try:
        return convert(text)
    except (ValueError, binascii.Error):
        raise Corrupt(where(number, field), f"{text!r:.40}", "bytes as text") from None


def _root(record: Record) -> Node:
    return record.root if record.root is not None else EMPTY
