"""Every field of what the journal holds changed, its checksums made right: it is named, or changes nothing else.

What no checksum tells, what lies before it may: recovery does no entry that does not go on from there. `UNTOLD` are the
fields of which nothing tells. Whatever it is, a repair makes a clean store of it that holds nothing that was not true.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rrdstore
from rrdstore.history.commit import Key
from rrdstore.storage import journal, locking, rings
from rrdstore.storage.protocol import Entry, Fitted
from rrdstore.testing import ManualClock
from tests.faults.life import content

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 1 << 20
ENDS = ("", "-wal")
UNTOLD = {
    *(("Entry", name) for name in ("epoch", "rt", "wall", "author", "message", "opaque", "edits")),
    *(("Begun", name) for name in ("name", "keep", "lease", "until")),
    ("Ended", "line"),
    ("Tagged", "name"),
    ("Tagged", "key"),
    ("Fit", "picks"),
    ("Entry", "number"),
    ("Begun", "upstream"),
}
"""What nothing repeats, or where another value can be as well: another kept commit, a last commit of another number, a
fork that merges with none."""


class Journalled:
    """A store, killed, whose journal has entries of every kind, and what each commit must read."""

    def __init__(self, path: str) -> None:
        self.path, self.clock, self.truth = path, ManualClock(), {}
        store = rrdstore.create(path + ".live", SIZE, "last:12", clock=self.clock, sync="none")
        main = store.branch("main")
        for step in range(5):
            self._note(store, main.set(f"/k{step}", b"%d" % step))
        self._note(store, main.fork("old", "last:3").set("/o", b"1"))
        store.tag("old", main.head)
        store.pin(main.head)
        store.tick()
        work = main.fork("work", "last:3", lease="30d")
        self._note(store, work.set("/w", b"1"))
        self._note(store, main.merge("work"))
        bare = store.branch("bare", create=True, keep="last:2")
        self._note(store, bare.head)
        self._note(store, bare.set("/b", b"1"))
        store.tag("one", work.head)
        store.tag("two", bare.head)
        store.untag("one")
        store.pin(work.head)
        store.unpin(work.head)
        store.unpin(min(store.pins))
        store.untag("old")
        store.delete_branch("old")
        store.tune("main", "last:9 *:4")
        store.compact(keep="last:2")
        self._note(store, main.set("/last", b"1"))
        for end in ENDS:
            shutil.copyfile(path + ".live" + end, path + ".saved" + end)
        storage = store.ledger.storage
        self.entries, superblock = list(storage.state().pending), storage._objects.superblock
        self.generation, self.ring, self.uuid = superblock.generation, storage._layout.ring, store.uuid
        assert superblock.start == journal.START
        store.close()

    def _note(self, store: rrdstore.Store, commit: rrdstore.Commit) -> None:
        self.truth[commit.number] = content(store, commit)

    def write(self, entries: list[object]) -> None:
        """The file as it was, beside a journal of these entries."""
        for file in Path(self.path).parent.glob(Path(self.path).name + "*"):
            if ".saved" not in file.name:
                file.unlink()
        for end in ENDS:
            shutil.copyfile(self.path + ".saved" + end, self.path + end)
        name = self.path + locking.SUFFIX
        descriptor = locking.lock(name, make=True)
        rings.fill(descriptor, name, self.ring, self.uuid, self.generation)
        ring = rings.attach(descriptor, name, self.ring, self.uuid, readonly=False)
        ring.reset(self.generation)
        assert all(ring.append(entry) for entry in entries)
        ring.close()

    def said(self) -> list[str]:
        """What opening or checking says."""
        try:
            with rrdstore.open(self.path, readonly=True, clock=self.clock) as store:
                assert store.tags is not None
                assert store.pins is not None
                return [str(problem) for problem in store.check()]
        except rrdstore.StoreError as fault:
            return [str(fault)]

    def repaired(self) -> None:
        """It is clean then, and holds nothing that was not true but what the changed entry said."""
        rrdstore.repair(self.path, clock=self.clock)
        with rrdstore.open(self.path, clock=self.clock) as store:
            assert store.check() == []
            for branch in store.branches.values():
                for commit in branch.log():
                    found, true = content(store, commit), self.truth.get(commit.number, {})
                    assert all(true.get(path) == value for path, value in found.items() if value)
            assert all(commit.kept for commit in store.tags.values())
            store.branch("main").set("/after", b"repair")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Journalled(str(tmp_path_factory.mktemp("journal") / "s.rrdb"))


def changed(value: object) -> list[object]:
    """Other values of a field."""
    if isinstance(value, int):
        return [value + 1, *([value - 1] if value else [])]
    if isinstance(value, str):
        return [value + "x"]
    if isinstance(value, Key):
        return [Key(value.number + 1, value.epoch), Key(value.number, value.epoch + 1)]
    if value.__class__ is tuple and value and isinstance(value[0], int):
        return [value[1:], (*value[:-1], value[-1] + 1), (value[0] - 1, *value[1:])]
    if isinstance(value, bytes):
        return [value + b"x", value[:-1]]
    if isinstance(value, Entry):
        return [value._replace(number=value.number - 1)]
    return []


def fields(entry: object) -> list[str]:
    return list(entry._fields) if isinstance(entry, Entry) else list(type(entry).__dataclass_fields__)


def with_field(entry: object, name: str, value: object) -> object:
    return entry._replace(**{name: value}) if isinstance(entry, Entry) else replace(entry, **{name: value})


def others(entry: object) -> Iterator[tuple[str, str, list[object]]]:
    """Of each field what it is a field of, its name, and the entry with other values there."""
    for name in fields(entry):
        yield type(entry).__name__, name, [with_field(entry, name, other) for other in changed(getattr(entry, name))]
    for at, fit in enumerate(entry.fits if isinstance(entry, Fitted) else ()):
        for name in fields(fit):
            fits = [replace(fit, **{name: other}) for other in changed(getattr(fit, name))]
            yield "Fit", name, [Fitted((*entry.fits[:at], one, *entry.fits[at + 1 :])) for one in fits]


def test_as_it_was_it_is_clean_and_has_entries_of_every_kind(store):
    kinds = {type(entry).__name__ for entry in store.entries}
    assert kinds == {"Entry", "Begun", "Ended", "Tagged", "Untagged", "Pinned", "Unpinned", "Fitted"}
    store.write(store.entries)
    assert store.said() == []


def test_a_field_that_is_not_what_it_was(store):
    told, seen = {}, 0
    for at, entry in enumerate(store.entries):
        for kind, name, other in others(entry):
            for one in other:
                store.write([*store.entries[:at], one, *store.entries[at + 1 :]])
                said = store.said()
                told.setdefault((kind, name), []).append(bool(said))
                if said and (kind, name) not in UNTOLD:
                    assert "the journal, " in said[0], said
                    seen += 1
    silent = {place for place, each in told.items() if not all(each)}
    assert silent <= UNTOLD
    assert seen > 20


@pytest.mark.parametrize("how", ["gone", "again", "swapped"])
def test_an_entry_that_is_gone_doubled_or_at_another_place(store, how):
    entries = store.entries
    for at in range(len(entries) - 1):
        if how == "gone":
            now = [*entries[:at], *entries[at + 1 :]]
        elif how == "again":
            now = [*entries[: at + 1], entries[at], *entries[at + 1 :]]
        else:
            now = [*entries[:at], entries[at + 1], entries[at], *entries[at + 2 :]]
        store.write(now)
        said = store.said()
        assert said or how != "again" or isinstance(entries[at], Fitted)  # What is kept is said once more.
        if said:
            store.repaired()


def test_bytes_of_a_change_that_no_version_knows_are_named(store, monkeypatch):
    store.write(store.entries)
    with Path(store.path + locking.SUFFIX).open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        assert size == store.ring
        file.seek(journal.START + journal.PREFIX + 8)
        file.write(b"\x09")
    assert store.said()
    store.repaired()


@pytest.mark.parametrize(("field", "value"), [("keep", "last:9x"), ("rings", b"no state"), ("picks", (999_999,))])
def test_a_policy_that_does_not_fit_is_lost_by_a_repair_and_named(store, field, value):
    at = next(at for at, entry in enumerate(store.entries) if isinstance(entry, Fitted))
    wrong = Fitted(tuple(replace(fit, **{field: value}) for fit in store.entries[at].fits))
    store.write([*store.entries[:at], wrong])
    assert store.said()
    lost = rrdstore.repair(store.path, clock=store.clock).lost
    assert [(one.what, one.name) for one in lost] == [("policy", "main")]
    with rrdstore.open(store.path, clock=store.clock) as again:
        assert again.branch("main").keep == "last:12"
        assert again.check() == []
