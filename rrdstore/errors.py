"""Every error the engine raises: one root, facts as fields, one sentence built from them.

Rule: an error says what it is about, what was found and what was expected, and is raised before
anything has changed. Nothing else escapes the public names, bugs and KeyboardInterrupt excepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class StoreError(Exception):
    """The root of all errors of rrdstore."""


class NotFound(StoreError):
    """A node, branch, tag, commit or pin that does not exist."""

    def __init__(self, what: str, name: str) -> None:
        self.what, self.name = what, name
        super().__init__(f"{what} {name!r} not found")


class Exists(StoreError):
    """A name that is taken already."""

    def __init__(self, what: str, name: str) -> None:
        self.what, self.name = what, name
        super().__init__(f"{what} {name!r} exists already")


class Thinned(StoreError):
    """A commit that was kept once and is not any more."""

    def __init__(self, id: str, before: str | None, after: str | None) -> None:  # noqa: A002 - the field is named id
        self.id, self.before, self.after = id, before, after
        super().__init__(f"commit {id} was thinned; nearest kept: {before or 'none'} before, {after or 'none'} after")


class Content(Protocol):
    """What a side of a conflict has at a place (a `Node`)."""

    @property
    def value(self) -> bytes:
        """Its value."""

    @property
    def meta(self) -> bytes:
        """Its metadata."""


class Place(Protocol):
    """One place of a merge conflict (a `Clash`); None where a side has nothing."""

    @property
    def path(self) -> str:
        """Where."""

    @property
    def kind(self) -> str:
        """What happened there, in words."""

    @property
    def base(self) -> Content | None:
        """What both began with."""

    @property
    def ours(self) -> Content | None:
        """What the branch merged into has."""

    @property
    def theirs(self) -> Content | None:
        """What the branch that is merged has."""


class Conflict(StoreError):
    """A merge, or a transaction that read what has changed since; `paths` names every place.

    Of a merge, `clashes` has for each path what the base and both sides have there.
    """

    def __init__(self, paths: Iterable[str], what: str = "transaction", clashes: Iterable[Place] = ()) -> None:
        self.paths, self.what, self.clashes = tuple(paths), what, tuple(clashes)
        shown = ", ".join(self.paths[:4]) + (f" and {len(self.paths) - 4} more" if len(self.paths) > 4 else "")
        super().__init__(f"{what} conflicts at {shown}")


class Unmergeable(StoreError):
    """Two branches with no stored merge base: merging on an approximate one could lose changes silently."""

    def __init__(self, branch: str, other: str, reason: str) -> None:
        self.branch, self.other, self.reason = branch, other, reason
        super().__init__(f"cannot merge {other!r} into {branch!r}: {reason}")


class LeaseEnded(Unmergeable):
    """A branch whose merge base was let go when its lease ran out: what it changed can go over as a patch only.

    `since` is the id of the oldest commit that is kept of `other` since the two last met, if there is one.
    """

    def __init__(self, branch: str, other: str, since: str | None) -> None:
        self.since = since
        wanted = repr(since) if since else "..."
        super().__init__(
            branch, other, f"the lease of their merge base has ended; patch({other!r}, since={wanted}) is the way out"
        )


class PolicyError(StoreError):
    """A retention policy that cannot be: `text` is the part at fault."""

    def __init__(self, text: str, found: str, expected: str) -> None:
        self.text, self.found, self.expected = text, found, expected
        super().__init__(f"policy {text!r}: found {found}, expected {expected}")


class ConfigError(StoreError):
    """A configuration that cannot be: `where` is the file, `table` and `key` the place in it, empty for the whole."""

    def __init__(self, where: str, table: str, key: str, found: str, expected: str) -> None:
        self.where, self.table, self.key, self.found, self.expected = where, table, key, found, expected
        place = ", ".join(part for part in (where, table, key) if part)
        super().__init__(f"{place}: found {found}, expected {expected}")


class PolicyDiffers(UserWarning):
    """A branch has another policy than the program that opens the store asks for; `tune` would change it."""

    def __init__(self, branch: str, stored: str, wanted: str) -> None:
        self.branch, self.stored, self.wanted = branch, stored, wanted
        super().__init__(f"branch {branch!r} keeps {stored!r}, not {wanted!r} as asked for; tune would change it")


class SeriesError(StoreError):
    """A series that cannot be declared, or asked for in this way: `text` is the part at fault."""

    def __init__(self, text: str, found: str, expected: str) -> None:
        self.text, self.found, self.expected = text, found, expected
        super().__init__(f"series {text!r}: found {found}, expected {expected}")


class InvalidWhen(StoreError):
    """A moment that cannot be read."""

    def __init__(self, text: str, expected: str) -> None:
        self.text, self.expected = text, expected
        super().__init__(f"moment {text!r}: expected {expected}")


class InvalidPath(StoreError):
    """A path that names no place in any tree."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"path {path!r}: {reason}")


class InvalidPattern(StoreError):
    """A pattern that no path can match."""

    def __init__(self, text: str, found: str, expected: str) -> None:
        self.text, self.found, self.expected = text, found, expected
        super().__init__(f"pattern {text!r}: found {found}, expected {expected}")


class InvalidName(StoreError):
    """A name that no branch or tag can have."""

    def __init__(self, what: str, name: object, expected: str) -> None:
        self.what, self.name, self.expected = what, name, expected
        super().__init__(f"{what} name {name!r}: expected {expected}")


class InvalidSize(StoreError):
    """A size that cannot be read."""

    def __init__(self, size: object, expected: str) -> None:
        self.size, self.expected = size, expected
        super().__init__(f"size {size!r}: expected {expected}")


class StoreFull(StoreError):
    """No room for the change, though everything that can be thinned has been counted as free."""

    def __init__(self, needed: int, free: int) -> None:
        self.needed, self.free = needed, free
        super().__init__(f"store full: {needed} bytes needed, {free} can be had; nothing was changed")


class TooLarge(StoreError):
    """One thing larger than this store takes."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.what, self.size, self.limit = what, size, limit
        super().__init__(f"{what} of {size} bytes; this store takes at most {limit}")


class TooSmall(StoreError):
    """A size that the policy does not fit in; `least` is the smallest that would do, in bytes."""

    def __init__(self, size: int, least: int) -> None:
        self.size, self.least = size, least
        super().__init__(f"size of {size} bytes is too small for this policy; it needs at least {least}")


class LimitReached(StoreError):
    """A fixed number of things (branches, tags, pins, snapshots) is in use.

    Where several at once are `wanted` it says how many, and with `least` the smallest size of a store that has them.
    """

    def __init__(self, what: str, limit: int, *, wanted: int = 0, least: int = 0) -> None:
        self.what, self.limit, self.wanted, self.least = what, limit, wanted, least
        if not wanted:
            super().__init__(f"all {limit} {what} of this store are in use")
        else:
            bigger = f"; a store of {least} bytes has room for them" if least else ""
            super().__init__(f"{wanted} {what} wanted, this store has {limit}{bigger}")


class Held(StoreError):
    """The file cannot take more now, because another process keeps it from being written back."""

    def __init__(self, path: str, by: str) -> None:
        self.path, self.by = path, by
        super().__init__(f"{path} is held by {by}: its log cannot be written back; nothing was changed")


class Unwritable(StoreError):
    """The file system refused what was asked of it."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}; nothing was changed")

    @property
    def by(self) -> str:
        """Who refused it, in words."""
        return f"the file system ({self.reason})"


HINDERED: Final = (Held, Unwritable)
"""What keeps a file from being written for a while, and goes away again."""


class Locked(StoreError):
    """Another process writes this store."""

    def __init__(self, path: str, pid: int | None) -> None:
        self.path, self.pid = path, pid
        super().__init__(f"{path} is written by {'another process' if pid is None else f'process {pid}'}")


class ReadOnly(StoreError):
    """A change was asked of a store opened for reading, or of a snapshot."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} is read-only")


class NoStore(StoreError):
    """There is no store at that path."""

    def __init__(self, path: str, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(f"{path}: expected a store, found {found}")


class Closed(StoreError):
    """The store, snapshot or transaction was closed before."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} is closed")


class Corrupt(StoreError):
    """Bytes on disk that are not what was written."""

    def __init__(self, where: str, found: str, expected: str) -> None:
        self.where, self.found, self.expected = where, found, expected
        super().__init__(f"{where}: found {found}, expected {expected}")


class OtherFormat(Corrupt):
    """A store that another version of the program wrote, in a format that this one does not know."""

    def __init__(self, path: str, format: int, known: str) -> None:  # noqa: A002 - the field is named format
        self.path, self.format = path, format
        super().__init__(path, f"format {format}", f"{known}, which this version reads and writes")


class NotInstalled(StoreError):
    """Something that needs a package which is not a dependency of rrdstore; `extra` brings it."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        self.what, self.package, self.extra = what, package, extra
        super().__init__(f"{what} needs {package}, found none: pip install 'rrdstore[{extra}]'")
