"""The journal read from docs/format.md alone, as `independent_reader` reads the file: entries, the net before them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from struct import calcsize, unpack_from
from zlib import crc32

Tree = dict[str, tuple[bytes, bytes, int, int]]
"""Of each path: value, meta, created, modified."""


@dataclass
class Entry:
    """A record of the journal."""

    number: int
    branch: int
    rt: int
    wall: int
    epoch: int
    parents: list[tuple[int, int]]
    author: str
    message: str
    opaque: bytes
    edits: list[tuple[str, bytes | None, bytes | None]] = field(default_factory=list)
    meeting: tuple[int, ...] | None = None
    crossing: list[tuple[str, bytes | None, bytes | None]] | None = None


@dataclass
class Change:
    """What was done to branches, tags and pins."""

    kind: int
    numbers: tuple[int, ...] = ()
    name: str = ""
    policy: str = ""
    first: Entry | None = None
    fits: list[tuple[int, str, bytes, tuple[int, ...]]] = field(default_factory=list)
    """Of each branch its line, policy, rings and picks."""


@dataclass
class Fresh:
    """A commit of a net; `places` are content, or None for what is gone, of what it has different from `before`."""

    number: int
    branch: int
    before: int
    rt: int
    wall: int
    epoch: int
    parents: list[tuple[int, int]]
    author: str
    message: str
    thinned: int
    grafts: list[int]
    places: list[tuple[str, tuple[bytes, bytes, int, int] | None]]

    def on(self, tree: Tree) -> Tree:
        """The whole tree, given that of `before`."""
        tree = dict(tree)
        for path, content in self.places:
            if content is None:
                for gone in [known for known in tree if known == path or known.startswith(path + "/")]:
                    del tree[gone]
            else:
                tree[path] = content
        return tree


@dataclass
class Net:
    number: int
    line: int
    fresh: list[Fresh]
    drops: list[int]
    changes: dict[int, tuple[int, list[int]]]
    rows: int


def read(path: Path, uuid: str, generation: int, start: int) -> tuple[Net | None, list[Entry | Change]]:
    """The net that counts, if one does, and the entries after it, or since the superblock's generation and byte."""
    data = Path(f"{path}-ring").read_bytes()
    magic, owner, size, net, _pid, _epoch, last, _boot, end = unpack_from("<8s16s4I3Q", data)
    assert (magic, owner.hex(), size) == (b"rrdring1", uuid, len(data))
    own, at = generation, start
    if net and unpack_from("<Q", data, net + 8)[0] > generation:
        own, at = unpack_from("<Q", data, net + 8)[0], net

    def first(of: int) -> int:
        return crc32(of.to_bytes(8, "little"), crc32(owner))

    seed, found, turned, begun = first(own), [], False, False
    generations = []
    while True:
        whole = at + 16 <= len(data)
        length, check, of = unpack_from("<IIQ", data, at) if whole else (0, 0, 0)
        record = data[at + 16 : at + 16 + length]
        if begun and of == own + 1:
            own, seed = of, first(of)
        if not length or len(record) < length or of != own or crc32(record, seed) != check:
            if turned or (whole and length != 2**32 - 1):
                break
            turned, at = True, 64
            continue
        seed, begun = check, True
        at += 16 + length + -length % 8
        found.append(record)
        generations.append(own)
    if last == own:
        assert end == at
    parts = [record for record in found if not any(record[:8]) and any(record[12:16])]
    assert parts == found[: len(parts)], "a net comes before all entries"
    for place, record in enumerate(parts):
        assert unpack_from("<QII", record) == (0, place, len(parts))
        assert len(record) - 16 <= size // 16
    body = b"".join(record[16:] for record in parts)
    entries: list[Entry | Change] = []
    for index, record in enumerate(found[len(parts) :], len(parts)):
        if any(record[6:8]):
            follows = index > len(parts) and generations[index - 1] == generations[index]
            above = entries[-1] if follows else None
            entries.append(_brief(record, above.author if isinstance(above, Entry) else ""))
        else:
            entries.append(_entry(record) if any(record[:8]) else _change(record, Path(f"{path}-apart"), owner))
    return _net(zlib.decompress(body)) if parts else None, entries


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        self.at += size
        assert self.at <= len(self.data)
        return self.data[self.at - size : self.at]

    def numbers(self, form: str) -> tuple:
        return unpack_from(form, self.take(calcsize(form)))

    def standing(self) -> tuple[int, list[int]]:
        thinned, grafts, authors = self.numbers("<QHB")
        numbers = [self.numbers("<Q")[0] for _ in range(grafts)]
        for _ in range(0 if authors == 255 else authors):
            _count, length = self.numbers("<QB")
            self.take(length).decode()
        return thinned, numbers


def _net(data: bytes) -> Net:
    of = _Bytes(data)
    number, line, commits, drops, changes, branches, tags, pins, cells, columns = of.numbers("<QQ8I")
    fresh = [_fresh(of) for _ in range(commits)]
    dropped = [of.numbers("<Q")[0] for _ in range(drops)]
    changed = {of.numbers("<Q")[0]: of.standing() for _ in range(changes)}
    of.take(4032 * (branches + pins) + 276 * tags + 48 * cells)
    for _ in range(columns):
        of.take(of.numbers("<II")[1])
    assert of.at == len(data)
    return Net(number, line, fresh, dropped, changed, branches + tags + pins)


def _fresh(of: _Bytes) -> Fresh:
    number, branch, before, rt, wall, epoch, parents, author, message, delta = of.numbers("<QQQqqIBBHI")
    keys = [of.numbers("<QI") for _ in range(parents)]
    said = of.take(author).decode(), of.take(message).decode()
    standing = of.standing()
    return Fresh(number, branch, before, rt, wall, epoch, keys, *said, *standing, list(_places(_Bytes(of.take(delta)))))


def _places(of: _Bytes):
    names: list[str] = []
    while of.at < len(of.data):
        depth, flags = of.numbers("<HB")
        if depth:
            names[depth - 1 :] = [of.take(of.numbers("<H")[0]).decode()]
        path = "/" + "/".join(names[:depth])
        if flags & 2:
            yield path, None
        elif flags & 1:
            created, modified, value, meta = of.numbers("<QQII")
            yield path, (of.take(value), of.take(meta), created, modified)


def _change(data: bytes, apart: Path, owner: bytes) -> Change:
    of = _Bytes(data)
    _, kind, zero = of.numbers("<QII")
    assert zero == 0
    if kind == 1:
        *numbers, name, policy = of.numbers("<4QqHH")
        made = Change(kind, tuple(numbers), of.take(name).decode(), of.take(policy).decode())
        if len(data) > of.at:
            assert numbers[1:3] == [0, 0]
            made.first = _entry(of.take(len(data) - of.at))
    elif kind in {2, 5, 6}:
        made = Change(kind, of.numbers("<Q"))
    elif kind == 7:
        made = Change(kind, fits=[_fit(of) for _ in range(*of.numbers("<I"))])
    elif kind == 3:
        made = Change(kind, of.numbers("<QI"), of.take(len(data) - of.at).decode())
    elif kind == 8:
        start, length, check = of.numbers("<QQI")
        return _planted(_entry(of.take(len(data) - of.at)), apart.read_bytes()[start : start + length], check, owner)
    else:
        assert kind == 4
        made = Change(kind, (), of.take(len(data) - of.at).decode())
    assert of.at == len(data)
    return made


def _planted(made: Entry, section: bytes, check: int, owner: bytes) -> Entry:
    assert crc32(section, crc32(made.number.to_bytes(8, "little"), crc32(owner))) == check
    assert not made.edits
    of = _Bytes(section)
    places, metas, paths = of.numbers("<III")
    values, which, kinds = of.numbers(f"<{places}I"), of.numbers(f"<{places}I"), of.numbers(f"<{metas}I")
    names = of.take(paths).decode().split("\0")
    contents = [of.take(length) for length in values]
    lists = [of.take(length) for length in kinds]
    assert (of.at, len(names)) == (len(section), places)
    made.edits = [(name, value, lists[at]) for name, value, at in zip(names, contents, which, strict=True)]
    return made


def _fit(of: _Bytes) -> tuple[int, str, bytes, tuple[int, ...]]:
    line, picks, rings, policy = of.numbers("<QIIH")
    said = of.take(policy).decode(), of.take(rings)
    return line, *said, of.numbers(f"<{picks}Q")


def _brief(data: bytes, before: str) -> Entry:
    of = _Bytes(data)
    low, high, form = of.numbers("<IHH")
    rt, lag, epoch, branch, *sizes = of.numbers("<qiIIBBHHH")
    author, message, path, value, meta = map(of.take, sizes)
    assert form & 1
    assert form < 16
    assert of.at == len(data)
    if form & 2:
        assert (author, bool(before)) == (b"", True)
        author = before.encode()
    if form & 4:
        message += path
    assert form & 8 or not meta
    number = low + (high << 32)
    step = path.decode(), value, meta if form & 8 else None
    parents = [(number - 1, epoch)]
    return Entry(number, branch, rt, rt + lag, epoch, parents, author.decode(), message.decode(), b"", [step])


def _entry(data: bytes) -> Entry:
    of = _Bytes(data)
    number, branch, rt, wall, epoch, edits, opaque, parents, author, message, met = of.numbers("<QQqqIIIBBHB")
    keys = [of.numbers("<QI") for _ in range(parents)]
    said = of.take(author).decode(), of.take(message).decode(), of.take(opaque)
    made = Entry(number, branch, rt, wall, epoch, keys, *said)
    more = 0
    if met:
        *meeting, more = of.numbers("<7QI")
        made.meeting = tuple(meeting)
        made.crossing = [] if met == 2 else None
    before = ""
    for index in range(edits + more):
        path, flags, value, meta = of.numbers("<IBII")
        before = (before if flags & 4 else "") + of.take(path).decode()
        parts = before, of.take(value), of.take(meta)
        step = parts[0], parts[1] if flags & 1 else None, parts[2] if flags & 2 else None
        (made.edits if index < edits else made.crossing).append(step)
    assert of.at == len(data)
    return made
