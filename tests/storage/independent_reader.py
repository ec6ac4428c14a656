"""A reader of the file written from docs/format.md alone: sqlite3, struct, zlib, blake3, and nothing of rrdstore.

It is the oracle of that page: what it cannot read, the page does not say. Slow, and strict: every checksum, every
length and every place is compared with what the page promises.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from struct import calcsize, unpack_from
from zlib import crc32

from blake3 import blake3

SUPERBLOCK = (
    "tick", "number", "epoch", "top", "next", "charged", "objects", "dying", "reaped", "kept", "clean", "pages",
    "tables", "writes", "generation", "start", "line",
)  # fmt: skip
CODES = {0: "", 1: "B", 2: "H", 4: "I", 8: "Q"}
FORMS = ((0, 0), (1, 0), (4, 0), (8, 0), (0, 1), (0, 2), (0, 4), (0, 8), (4, 1), (4, 2), (8, 1), (8, 2), (8, 4))
"""Of a column: bytes of the base, and of each number beyond it."""

Tree = dict[str, tuple[bytes, bytes, int, int]]
"""Of each path: value, meta, created, modified."""


@dataclass
class Commit:
    kind: int
    epoch: int
    number: int
    branch: int
    before: int
    top: int
    root: int
    thinned: int
    rt: int
    wall: int
    author: str
    message: str
    parents: list[tuple[int, int]]
    grafts: list[int]


@dataclass
class Branch:
    id: int
    head: int
    fork: int
    upstream: int
    base: int
    name: str
    keep: str
    state: bytes
    older: int
    reach: tuple[int, ...]
    lease: int
    until: int


@dataclass
class Tiers:
    """The tiers' own state."""

    policy: int
    level: int
    rt: int
    number: int
    tombstones: list[tuple[int, int, int]]


class File:
    """A store's file, closed or open elsewhere."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.database = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        ask = self.database.execute
        assert ask("PRAGMA application_id").fetchone()[0] == 0x72726462
        version = ask("PRAGMA user_version").fetchone()[0]
        assert version in {2, 3, 4, 5}
        assert ask("PRAGMA page_size").fetchone()[0] == 4096
        meta = dict(ask("SELECT k, v FROM meta").fetchall())
        assert meta["format"] == str(version)
        row, check = meta.pop("superblock"), meta.pop("check")
        lines = "".join(f"{key}={value}\n" for key, value in sorted(meta.items()))
        assert check == f"{crc32(lines.encode()):08x}"
        self.meta, self.uuid = meta, bytes.fromhex(meta["uuid"])
        assert len(row) == 128
        assert crc32(row[:124]) == int.from_bytes(row[124:], "little")
        self.superblock = dict(zip(SUPERBLOCK, unpack_from("<10Q3I4Q", row), strict=True))
        self.segment, self.segments, self.grain = (int(meta[key]) for key in ("segment", "segments", "grain"))
        self.locations = self.segments * self.segment // 96

    def checksums(self, table: str) -> list[bytes]:
        """The last four bytes of each row."""
        return [row[-4:] for (row,) in self.database.execute(f"SELECT d FROM {table} ORDER BY id")]

    def rows(self, table: str, *, placed: bool = False) -> list[bytes]:
        """The rows of a table that are not free, without their checksums."""
        found = []
        for id_, row in self.database.execute(f"SELECT id, d FROM {table} ORDER BY id"):
            if not any(row):
                found.append(b"")
                continue
            seed = crc32(table.encode(), id_ - 1) if placed else crc32(table.encode())
            assert crc32(row[:-4], seed) == int.from_bytes(row[-4:], "little"), (table, id_)
            found.append(row[:-4])
        return found

    # Fixed rows

    def kept(self) -> dict[int, Commit]:
        """All commits of the table, of kind 1 and 2."""
        more: dict[int, list[tuple[int, bytes]]] = {}
        heads = []
        for row in self.rows("kept"):
            if row and row[0] == 3:
                more.setdefault(int.from_bytes(row[2:8], "little"), []).append((row[1], row[8:]))
            elif row:
                heads.append(row)
        found = {}
        for row in heads:
            kind, parents, grafts, author, message, authors, epoch = unpack_from("<BBHBBBI", row)
            number, branch, before, top, root = (
                int.from_bytes(row[11 + 6 * n : 17 + 6 * n], "little") for n in range(5)
            )
            thinned = int.from_bytes(row[41:46], "little")
            rt, wall = unpack_from("<qq", row, 46)
            rest = row[62:] + b"".join(part for _, part in sorted(more.pop(number, [])))
            words = rest[:author].decode(), rest[author : author + message].decode()
            at = author + message
            counts = [
                (int.from_bytes(rest[i : i + 2], "little"), int.from_bytes(rest[i + 2 : i + 7], "little"))
                for i in range(at, at + 7 * authors, 7)
            ]
            assert all(index and count for index, count in counts)
            assert sum(count for _, count in counts) <= thinned + 1
            links = rest[at + 7 * authors :]
            after = 10 * parents
            found[number] = Commit(
                kind, epoch, number, branch, before, top, root, thinned, rt, wall, *words,
                [(int.from_bytes(links[at : at + 6], "little"), int.from_bytes(links[at + 6 : at + 10], "little"))
                 for at in range(0, after, 10)],
                [int.from_bytes(links[at : at + 6], "little") for at in range(after, after + 6 * grafts, 6)],
            )  # fmt: skip
        assert not more
        assert len(found) == self.superblock["kept"]
        return found

    def branches(self) -> list[Branch]:
        found, body = [], b""
        for row in filter(None, self.rows("branch")):
            one, index, of, length = unpack_from("<BHHH", row)
            assert one == 1
            assert bool(index) == bool(body)
            body += row[7 : 7 + length]
            if index + 1 == of:
                *numbers, name, keep, state = unpack_from("<11QqBHI", body)
                at = calcsize("<11QqBHI")
                parts = body[at : at + name], body[at + name : at + name + keep], body[at + name + keep :]
                assert len(parts[2]) == state
                words = parts[0].decode(), parts[1].decode(), parts[2]
                found.append(Branch(*numbers[:5], *words, numbers[5], tuple(numbers[6:10]), *numbers[10:]))
                body = b""
        assert not body
        return found

    @staticmethod
    def tiers(state: bytes) -> Tiers:
        """The tiers' own state, of a branch that lives."""
        version, policy, level, rt, number, count = unpack_from("<BIBqqI", state)
        assert version == 1
        assert len(state) == 26 + 17 * count
        return Tiers(policy, level, rt, number, [unpack_from("<Bqq", state, 26 + 17 * at) for at in range(count)])

    def tags(self) -> dict[str, tuple[int, int]]:
        found = {}
        for row in filter(None, self.rows("tag")):
            length, epoch, number = unpack_from("<BIQ", row)
            found[row[13 : 13 + length].decode()] = (number, epoch)
        return found

    def pins(self) -> set[int]:
        found: list[int] = []
        for row in filter(None, self.rows("pin")):
            count = int.from_bytes(row[:4], "little")
            found += unpack_from(f"<{count}Q", row, 4)
        return set(found)

    def fill(self) -> list[tuple[int, int]]:
        """Of each segment, bytes used and bytes that live."""
        numbers: list[int] = []
        for row in self.rows("segm", placed=True):
            numbers += unpack_from("<1006I", row or bytes(4028))
        return list(zip(numbers[::2], numbers[1::2], strict=True))[: self.segments]

    # Objects

    def places(self) -> dict[int, int]:
        """Of each number modulo the locations, the byte at which its object begins."""
        numbers: list[int] = []
        for row in self.rows("loc", placed=True):
            numbers += unpack_from("<1007I", row or bytes(4028))
        return {at: (number - 1) * self.grain for at, number in enumerate(numbers[: self.locations]) if number}

    def object(self, number: int) -> tuple[int, bytes]:
        """Kind and bytes of an object, put together if it is in pieces."""
        kind, levels, data = self._raw(number)
        for _ in range(levels):
            total, *pieces = unpack_from(f"<{len(data) // 8}Q", data)
            parts = [self._raw(piece) for piece in pieces]
            assert all((kind_, levels_) == (4, 0) for kind_, levels_, _ in parts)
            data = b"".join(part for *_, part in parts)
            assert len(data) == total
        return kind, data

    def _raw(self, number: int) -> tuple[int, int, bytes]:
        if not hasattr(self, "_places"):
            self._places = self.places()
        segment, at = divmod(self._places[number % self.locations], self.segment)
        assert not at % self.grain
        row = self.database.execute("SELECT d FROM seg WHERE id = ?", (segment + 1,)).fetchone()[0]
        assert len(row) == self.segment
        found = int.from_bytes(row[at : at + 6], "little")
        length, tag, check = unpack_from("<HBI", row, at + 6)
        assert found == number, (found, number)
        data = row[at + 13 : at + 13 + length]
        assert crc32(data, (number ^ (length + (tag << 24))) & 0xFFFFFFFF) == check
        return tag & 15, tag >> 4, data

    def tree(self, root: int) -> Tree:
        """The whole tree of a commit, given the object number of its root."""
        tree: Tree = {}
        stack = [("/", root)]
        while stack:
            path, number = stack.pop()
            kind, data = self.object(number)
            assert kind == 1, (path, kind)
            shape, form = data[0], ("<BII", "<BIIBB", "<BQQII")[data[0] >> 2]
            _, created, modified, value, meta = (*unpack_from(form, data), 0, 0)[:5]
            at = calcsize(form)
            tree[path] = (data[at : at + value], data[at + value : at + value + meta], created, modified)
            at += value + meta
            inside = "" if path == "/" else path
            if shape & 1:
                self._bucket(data, at, number, inside, tree, stack, ())
            elif shape & 2:
                count = self._wide(data, at, number, inside, tree, stack, ())
                assert count > 32
            else:
                assert at == len(data)
        return tree

    def _set(self, number: int, inside: str, tree: Tree, stack: list, bits: tuple[int, ...]) -> int:
        kind, data = self.object(number)
        assert kind in {2, 3}
        return (self._bucket if kind == 2 else self._wide)(data, 0, number, inside, tree, stack, bits)

    def _wide(
        self, data: bytes, at: int, number: int, inside: str, tree: Tree, stack: list, bits: tuple[int, ...]
    ) -> int:
        names, filled, form = unpack_from("<IIB", data, at)
        sets = [index for index in range(32) if filled >> index & 1]
        numbers, end = _column(data, at + 9, form, len(sets))
        assert len(data) == end
        assert all(below < number for below in numbers)
        found = sum(
            self._set(below, inside, tree, stack, (*bits, index)) for index, below in zip(sets, numbers, strict=True)
        )
        assert found == names
        assert names > 32
        return names

    def _bucket(
        self, data: bytes, at: int, number: int, inside: str, tree: Tree, stack: list, bits: tuple[int, ...]
    ) -> int:
        children, leaves, metas, forms = unpack_from("<BBBI", data, at)
        at += 7
        columns = []
        for column, count in enumerate((children, children, leaves, leaves, leaves, leaves, leaves, metas)):
            values, at = _column(data, at, forms >> 4 * column & 15, count)
            columns.append(values)
        numbers, child_names, leaf_names, values, indexes, created, modified, meta_sizes = columns

        def take(sizes: list[int]) -> list[bytes]:
            nonlocal at
            parts = []
            for size in sizes:
                parts.append(data[at : at + size])
                at += size
            return parts

        below, names, value_parts, meta_parts = (take(sizes) for sizes in (child_names, leaf_names, values, meta_sizes))
        assert at == len(data)
        assert children + leaves <= 32
        for name in (*below, *names):
            known = int.from_bytes(blake3(name).digest(length=8), "little")
            assert all(known >> 5 * level & 31 == index for level, index in enumerate(bits)), (name, bits)
        for name, value, index, made, set_by in zip(names, value_parts, indexes, created, modified, strict=True):
            assert len(value) + len(meta_parts[index]) <= 192
            tree[f"{inside}/{name.decode()}"] = (value, meta_parts[index], made, set_by)
        for name, older in zip(below, numbers, strict=True):
            assert older < number
            stack.append((f"{inside}/{name.decode()}", older))
        return children + leaves


def _column(data: bytes, at: int, form: int, count: int) -> tuple[list[int], int]:
    """The numbers of a column, and where the next one begins."""
    size, width = FORMS[form]
    if not count:
        assert form == 0
        return [], at
    base = int.from_bytes(data[at : at + size], "little")
    at += size
    if not width:
        return [base] * count, at
    return [base + one for one in unpack_from(f"<{count}{CODES[width]}", data, at)], at + count * width
