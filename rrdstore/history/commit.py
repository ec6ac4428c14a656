"""A commit: one change of one branch, and what is known of it for ever.

Rule: a commit gets its number, one higher than the last of the store, and the store's epoch, which
rises durably at each open. Its id is `<number>-<8 hex of BLAKE3(store uuid, epoch, number)>`: it
costs nothing, never changes, orders commits, and tells a dropped commit from one that never was by
arithmetic alone (a digest over parents would need every digest ever dropped).
Author and message are cut to what a fixed record on disk holds, in memory too: the same in every storage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from rrdstore.native import mypyc_attr

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rrdstore.tree.node import Node

AUTHOR_BYTES = 40
MESSAGE_BYTES = 112
"""What a kept record has room for, in UTF-8."""
STORING = -1
"""The `top` of a commit that a tick is about to store."""


class Key(NamedTuple):
    """What tells a commit from all others of its store, kept or not."""

    number: int
    epoch: int


_keyed = tuple.__new__  # a third of what calling a named tuple costs


class Edit(NamedTuple):
    """One step of a change: `value` set at `path` (None: the subtree removed); `meta` None leaves it as it is."""

    path: str
    value: bytes | None
    meta: bytes | None = None


def chains(edits: Sequence[Edit]) -> Iterator[Sequence[Edit]]:
    """The edits in order, those together that set something each directly below the one before. O(edits)."""
    at = 0
    while at < len(edits):
        end = at + 1
        while end < len(edits) and _is_below(edits[end], edits[end - 1]):
            end += 1
        yield edits[at:end]
        at = end


def _is_below(edit: Edit, above: Edit) -> bool:
    path = above.path
    if edit.value is None or above.value is None or len(edit.path) <= len(path) + 1:
        return False
    return edit.path.rfind("/") == len(path) and edit.path.startswith(path)


@mypyc_attr(acyclic=True)
class Record:
    """A commit as the engine holds it; `Commit` of the facade is its public face.

    Fixed from birth: number, epoch, key (both of them), branch (the branch's id), parents (keys), rt and wall
    (microseconds since the epoch, UTC), author, message. Changing as others are thinned: `grafts`, the numbers of the
    nearest kept ancestors, `thinned`, how many dropped commits it stands for besides itself, and `authors`, who made
    those and it (rrdstore/history/authors.py).
    Of storage: `root`, the tree, None if it has to be loaded; `root_number` and `top`, the object number
    of its root and the last number given out when it was stored, 0 before that; `top` is `STORING` meanwhile.
    """

    __slots__ = (
        "author",
        "authors",
        "branch",
        "epoch",
        "grafts",
        "key",
        "message",
        "number",
        "parents",
        "root",
        "root_number",
        "rt",
        "thinned",
        "top",
        "wall",
    )

    def __init__(
        self,
        number: int,
        epoch: int,
        branch: int,
        parents: tuple[Key, ...],
        rt: int,
        wall: int,
        author: str,
        message: str,
        root: Node | None,
        grafts: tuple[int, ...] = (),
        thinned: int = 0,
        root_number: int = 0,
        top: int = 0,
        authors: dict[str, int] | None = None,
    ) -> None:
        # One by one: pairs and triples of them cost a third more, and there is a record for each commit.
        self.number = number
        self.epoch = epoch
        self.key = _keyed(Key, (number, epoch))
        self.branch = branch
        self.parents = parents
        self.rt = rt
        self.wall = wall
        self.author = author
        self.message = message
        self.root = root
        self.grafts = grafts
        self.thinned = thinned
        self.root_number = root_number
        self.top = top
        self.authors = authors

    @property
    def stored(self) -> bool:
        """Whether its tree is in the file, or will be when the tick that is under way is done."""
        return self.top != 0

    def __reduce__(self) -> tuple[object, ...]:
        """How it is copied and pickled: a compiled class does not know it by itself."""
        known = (self.number, self.epoch, self.branch, self.parents, self.rt, self.wall, self.author, self.message)
        return Record, (*known, self.root, self.grafts, self.thinned, self.root_number, self.top, self.authors)

    def copied(self, root: Node | None = None) -> Record:
        """The same as of now, with this tree."""
        return Record(
            self.number,
            self.epoch,
            self.branch,
            self.parents,
            self.rt,
            self.wall,
            self.author,
            self.message,
            root,
            self.grafts,
            self.thinned,
            self.root_number,
            self.top,
            self.authors,
        )


def commit_id(uuid: bytes, key: Key) -> str:
    """The id of the commit `key` of the store `uuid`."""
    number, epoch = key
    proof = blake3(uuid + epoch.to_bytes(8, "little") + number.to_bytes(8, "little")).hexdigest(length=4)
    return f"{number}-{proof}"


def cut(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8, no character broken; what UTF-8 cannot say is "?". TypeError."""
    if not isinstance(text, str):
        raise TypeError(f"message and author are str, not {type(text).__name__}")
    if text.isascii():
        return text if len(text) <= limit else text[:limit]
    data = text.encode(errors="replace")
    return data.decode() if len(data) <= limit else data[:limit].decode(errors="ignore")
