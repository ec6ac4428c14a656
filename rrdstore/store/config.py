"""The configuration of a store as a TOML file: its size, the policy of each branch by pattern, its series.

    [store]
    size = "64MiB"
    memory = "256MiB"               # what trees may take of the process, else all that was reached stays
    when_held = "memory"            # go on in memory while another process holds the file, else "fail"

    [[branch]]                      # the first pattern that matches a branch's name decides
    pattern = "main"
    keep = "last:256 1s:5m 1m:2h 1h:2d 1d:30d 1w:1y *:64"

    [[branch]]
    pattern = "tx/*"
    keep = "last:32 1m:1h"
    lease = "30d"                   # how long after a merge its merge base is kept; else for ever

    [[merge]]                       # what both sides of a merge changed: the first pattern of paths decides
    pattern = "/stats/**"
    rule = "counter"                # conflict, counter, set, last, ours, theirs, or what register_merge made known

    [[series]]                      # numbers to consolidate, fixed at creation
    pattern = "/local/domain/*/memory/target"
    paths = 1000

Rule: what is not known is an error that names the file, the table, the key and what is expected there;
nothing is skipped. A pattern is written as those of paths are (rrdstore/tree/pattern.py), without the slash
in front: `*` is any run of characters between slashes, `**` any number of components.
A configuration is a wish: it says what a new store and new branches get. What a branch has is in the store,
and only `tune` changes that; where the two disagree, opening warns (docs/semantics.md, rule 11).
Pure but for `load`. Cost: O(tables) a look-up. Prior art: cargo's and ruff's errors for unknown keys.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from rrdstore.errors import ConfigError, InvalidPattern, InvalidSize, PolicyError, SeriesError
from rrdstore.policy import parse as parse_policy
from rrdstore.series.declaration import MAX_PATHS, Declaration
from rrdstore.store.limits import lease_of
from rrdstore.store.size import parse_size
from rrdstore.tree.merge import NO_RULES
from rrdstore.tree.pattern import Pattern
from rrdstore.tree.resolution import merge_rules

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from rrdstore.tree.resolution import MergeRules

    ConfigLike: TypeAlias = "Config | str | os.PathLike[str] | None"


WhenHeld = Literal["fail", "memory"]
"""What becomes of changes while another process holds the file and the journal is full: refused, or made in memory."""
WHEN_HELD: tuple[str, ...] = get_args(WhenHeld)
MAIN = "main"
"""The branch that every store has."""


@dataclass(frozen=True, slots=True)
class BranchRule:
    """The policy, canonical, of the branches whose names a pattern matches."""

    pattern: str
    keep: str
    lease: str | None = None
    """How long after a merge their merge bases are kept; None for ever."""

    def matches(self, name: str) -> bool:
        """Whether it speaks of the branch of that name."""
        return Pattern("/" + self.pattern).covers(tuple(name.split("/")))


@dataclass(frozen=True, slots=True)
class Config:
    """What a file asks for. None where it does not say."""

    where: str = "configuration"
    size: str | int | None = None
    memory: str | int | None = None
    when_held: WhenHeld | None = None
    branches: tuple[BranchRule, ...] = ()
    series: tuple[Declaration, ...] = ()
    merge: MergeRules = NO_RULES
    """What a merge does where both sides changed the same place."""

    def keep(self, branch: str) -> str | None:
        """The policy of the first pattern that matches the name of a branch."""
        return next((rule.keep for rule in self.branches if rule.matches(branch)), None)

    def lease(self, branch: str) -> str | None:
        """How long the merge base of a branch is kept, by the same."""
        return next((rule.lease for rule in self.branches if rule.matches(branch)), None)

    def with_main(self, keep: str | None) -> Config:
        """The same with `keep` for main before all else; PolicyError."""
        if keep is None:
            return self
        return replace(self, branches=(BranchRule(MAIN, str(parse_policy(keep))), *self.branches))

    @classmethod
    def of(cls, given: ConfigLike) -> Config:
        """What is given as `config=`: one that was read, the path of a file to read, or nothing."""
        if given is None:
            return cls()
        return given if isinstance(given, Config) else load(given)


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a file as it was read: what its keys must be is asked of it. ConfigError."""

    where: str
    """The file."""
    name: str
    """As people find it: `[store]`, `[[branch]] 2`."""
    found: Mapping[str, Any]

    def only(self, *keys: str) -> None:
        """Refuse every key that is not one of these."""
        for key in self.found:
            if key not in keys:
                raise ConfigError(self.where, self.name, key, "an unknown key", _meant(key, keys))

    def text(self, key: str, default: str | None = None) -> str:
        """The text at `key`; what is missing is `default`, or an error."""
        value = self.found.get(key, default)
        if value is None:
            raise self.wrong(key, "nothing", "a text in quotes")
        if not isinstance(value, str):
            raise self.wrong(key, f"{value!r}", "a text in quotes")
        return value

    def wrong(self, key: str, found: str, expected: str) -> ConfigError:
        """The error to raise for the value at `key`."""
        return ConfigError(self.where, self.name, key, found, expected)


def load(path: str | os.PathLike[str]) -> Config:
    """The configuration in a file; ConfigError, OSError."""
    return loads(Path(path).read_bytes(), str(path))


def loads(text: str | bytes, where: str = "configuration") -> Config:
    """The configuration that TOML text is; ConfigError, `where` being what it calls the file."""
    try:
        document = tomllib.loads(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as fault:
        raise ConfigError(where, "", "", f"a byte that is no UTF-8 at {fault.start}", "TOML") from None
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(where, "", "", str(fault), "TOML") from None
    Table(where, "", document).only(*_SINGLE, *_SEVERAL, "merge")
    said: dict[str, Any] = {}
    for name, read in _SINGLE.items():
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise ConfigError(where, "", name, f"{table!r}", f"a table, [{name}]")
        said |= read(Table(where, f"[{name}]", table))
    for name, (field, read_one) in _SEVERAL.items():
        tables = document.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise ConfigError(where, "", name, "one table or a value", f"tables in a row, [[{name}]]")
        rows = [Table(where, f"[[{name}]] {index}", table) for index, table in enumerate(tables, 1)]
        said[field] = tuple(read_one(row) for row in rows)
    return Config(where, merge=merge_rules(document.get("merge", []), where), **said)


def _store(table: Table) -> dict[str, Any]:
    table.only("size", "memory", "when_held")
    said = {key: _size(table, key) for key in ("size", "memory") if key in table.found}
    if "when_held" in table.found:
        said["when_held"] = table.text("when_held")
        if said["when_held"] not in WHEN_HELD:
            raise table.wrong("when_held", f"{said['when_held']!r}", "'fail' or 'memory'")
    return said


def _size(table: Table, key: str) -> str | int:
    size = table.found[key]
    if isinstance(size, bool) or not isinstance(size, str | int):
        raise table.wrong(key, f"{size!r}", 'a size such as "64MiB", or bytes')
    try:
        parse_size(size)
    except InvalidSize as fault:
        raise table.wrong(key, f"{size!r}", fault.expected) from None
    return size


def _branch(table: Table) -> BranchRule:
    table.only("pattern", "keep", "lease")
    pattern, keep = table.text("pattern"), table.text("keep")
    lease = table.text("lease") if "lease" in table.found else None
    try:
        Pattern("/" + pattern)
        if not pattern:
            raise InvalidPattern(pattern, "it is empty", "'**' for every branch")
    except InvalidPattern as fault:
        raise table.wrong("pattern", f"{pattern!r}, {fault.found}", fault.expected) from None
    try:
        policy = str(parse_policy(keep))
    except PolicyError as fault:
        raise table.wrong("keep", f"{fault.text!r} with {fault.found}", fault.expected) from None
    try:
        lease_of(lease)
    except PolicyError as fault:
        raise table.wrong("lease", f"{fault.text!r}", fault.expected) from None
    return BranchRule(pattern, policy, lease)


def _series(table: Table) -> Declaration:
    table.only("pattern", "paths")
    pattern, paths = table.text("pattern"), table.found.get("paths")
    if not isinstance(paths, int) or isinstance(paths, bool):
        raise table.wrong("paths", "nothing" if paths is None else f"{paths!r}", "how many paths to record at once")
    try:
        return Declaration(pattern, paths)
    except SeriesError as fault:
        key = "pattern" if 1 <= paths <= MAX_PATHS else "paths"
        raise table.wrong(key, fault.found, fault.expected) from None


def _meant(key: str, keys: tuple[str, ...]) -> str:
    close = get_close_matches(key, keys, 1)
    return f"{close[0]!r}, perhaps" if close else "one of " + ", ".join(keys)


_SINGLE: dict[str, Callable[[Table], dict[str, Any]]] = {"store": _store}
_SEVERAL: dict[str, tuple[str, Callable[[Table], Any]]] = {
    "branch": ("branches", _branch),
    "series": ("series", _series),
}
"""Of each array of tables the field of `Config` that it fills, and what reads one."""
