"""Parts loaded lately: shared by all trees that share the object, and never more than the limit together."""

import contextlib

import pytest

import rrdstore
from rrdstore.storage import parts
from rrdstore.tree.node import Bucket, Stub, Wide

PATHS = [f"/a{a}/b{b}/c{c}" for a in range(6) for b in range(6) for c in range(6)]


@pytest.fixture
def kept(tmp_path):
    """A store whose commits share most of their trees, and those."""
    with rrdstore.create(tmp_path / "s.rrdb", size="8MiB", keep="last:64") as store:
        main = store.branch("main")
        with main.transaction() as change:
            for path in PATHS:
                change.set(path, b"first")
        commits = [main.set(path, b"again") for path in PATHS[:40]]
        store.tick()
        yield store, commits


@pytest.mark.parametrize("readonly", [False, True])
def test_two_trees_share_what_they_share_in_the_file(kept, readonly):
    store, commits = kept
    with rrdstore.open(store.path, readonly=True) if readonly else contextlib.nullcontext(store) as seen:
        one, other = (seen.tree(commit.id) for commit in commits[:2])
        assert one.get("/a5/b5/c5") is other.get("/a5/b5/c5")
        assert one.get(PATHS[1]).value == b"first"
        assert other.get(PATHS[1]).value == b"again"
        assert seen.tree(commits[0].id).root is one.root


def test_all_that_is_held_was_counted(kept, monkeypatch):
    limit = 3000
    monkeypatch.setattr(parts, "LIMIT", limit)
    store, commits = kept
    storage = store.ledger.storage
    most = 0
    for commit in commits[:-1]:
        tree = store.tree(commit)
        for path in PATHS[::7]:
            assert tree.get(path).value == (b"again" if PATHS.index(path) <= commits.index(commit) else b"first")
            held = storage._parts._parts
            sizes = {number: len(storage._objects.read(number)[1]) + parts.PART for number in reached(held.values())}
            assert sizes.keys() <= held.keys()
            assert sum(sizes.values()) <= limit + max(sizes.values(), default=0)
            most = max(most, sum(sizes.values()))
    assert most > limit // 2
    store.close()
    assert not storage._parts._parts


def reached(held):
    """The numbers of all parts in memory that hang together with these."""
    found, left = set(), list(held)
    while left:
        part = left.pop()
        if part is None or part.__class__ is Stub:
            continue
        kids = part if part.__class__ in {Bucket, Wide} else part.kids
        if part.number:
            found.add(part.number)
        if kids.__class__ is Bucket:
            left += kids.names.values()
        elif kids.__class__ is Wide:
            left += kids.slots
    return found
