"""A store goes through a dump and comes out the same: in memory, in a file, by any history."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore import interchange
from rrdstore.testing import ManualClock

PATHS = st.lists(st.sampled_from(["a", "b", "ö", "n\n"]), min_size=1, max_size=3).map(
    lambda names: "/" + "/".join(names)
)
BRANCHES = st.sampled_from(["main", "work", "other"])
STEPS = st.one_of(
    st.tuples(st.just("set"), BRANCHES, PATHS, st.binary(max_size=4), st.none() | st.binary(max_size=2)),
    st.tuples(st.just("remove"), BRANCHES, PATHS),
    st.tuples(st.just("fork"), BRANCHES, BRANCHES),
    st.tuples(st.just("merge"), BRANCHES, BRANCHES),
    st.tuples(st.just("delete"), BRANCHES),
    st.tuples(st.just("tag"), BRANCHES, st.sampled_from(["t", "u"])),
    st.tuples(st.just("untag"), st.sampled_from(["t", "u"])),
    st.tuples(st.just("pin"), BRANCHES),
    st.tuples(st.just("wait"), st.integers(0, 90)),
)


def take(store, clock, step):
    """One step, if it can be taken."""
    what, *rest = step
    try:
        if what == "set":
            name, path, value, meta = rest
            store.branch(name).set(path, value, meta, message=path, author=name)
        elif what == "remove":
            store.branch(rest[0]).remove(rest[1])
        elif what == "fork":
            store.branch(rest[0]).fork(rest[1])
        elif what == "merge":
            store.branch(rest[0]).merge(rest[1])
        elif what == "delete":
            store.delete_branch(rest[0])
        elif what == "tag":
            store.tag(rest[1], store.branch(rest[0]).head)
        elif what == "untag":
            store.untag(rest[0])
        elif what == "pin":
            store.pin(store.branch(rest[0]).head)
        else:
            clock.advance(rest[0])
    except rrdstore.StoreError:
        pass


def dumped(store):
    lines: list[str] = []
    interchange.dump(store, lines.append)
    return lines


def answers(store):
    """All that can be asked of a store and has no clock in it."""
    info = store.info()
    return (
        [(b.name, b.head, b.keep, b.kept, b.made, b.tiers) for b in info.branches],
        (info.uuid, info.commits, info.kept, info.tags, info.pins),
        {name: [_commit(c) for c in branch.log()] for name, branch in store.branches.items()},
        {name: list(_nodes(branch.tree)) for name, branch in store.branches.items()},
        {name: commit.id for name, commit in store.tags.items()},
        store.pins,
        store.plan().keep,
    )


def _commit(commit):
    texts = (commit.id, commit.message, commit.author, commit.branch)
    return (*texts, commit.time, commit.wall, commit.parents, commit.kept_parents, commit.thinned, commit.digest)


def _nodes(tree):
    return ((path, node.value, node.meta, node.created, node.modified) for path, node in tree.descend())


@given(st.lists(STEPS, max_size=40), st.lists(STEPS, max_size=12))
@settings(max_examples=60)
def test_what_was_dumped_is_what_is_restored_and_goes_on_the_same(before, after):
    clock = ManualClock()
    with rrdstore.memory("last:4 1m:5m *:3", clock=clock) as store:
        for step in before:
            take(store, clock, step)
        lines = dumped(store)
        clock_again = ManualClock(clock.wall())
        with interchange.load(lines, clock=clock_again) as again:
            assert dumped(again) == lines
            assert answers(again) == answers(store)
            for step in after:
                take(store, clock, step)
                take(again, clock_again, step)
            assert dumped(again) == dumped(store)


@given(st.lists(STEPS, max_size=25))
@settings(max_examples=8)
def test_the_same_through_a_file(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("restored") / "copy.rrdb"
    clock = ManualClock()
    with rrdstore.memory("last:4 1m:5m *:3", clock=clock) as store:
        for step in steps:
            take(store, clock, step)
        with interchange.restore(path, dumped(store), "4MiB", clock=clock) as copy:
            assert copy.check() == []
            assert answers(copy) == answers(store)
            assert dumped(copy)[1:-1] == dumped(store)[1:-1]
            copy.branch("main").set("/more", b"1")
        with rrdstore.open(path, readonly=True) as reader:
            assert reader.branch("main").get("/more") == b"1"
            assert reader.check() == []


def test_a_file_to_a_larger_file(tmp_path):
    clock = ManualClock()
    with rrdstore.create(tmp_path / "a.rrdb", "4MiB", "last:8 1m:1h", clock=clock) as store:
        main = store.branch("main")
        for number in range(300):
            main.set(f"/wide/{number}", bytes([number % 256]) * 50, message=str(number))
            clock.advance(7)
        kept, lines = answers(store), dumped(store)
    with interchange.restore(tmp_path / "b.rrdb", lines, "8MiB", clock=clock) as copy:
        assert answers(copy) == kept
        assert copy.check() == []
        assert copy.info().size == 8 << 20


def test_a_dump_takes_the_size_it_came_from_unless_told(tmp_path):
    with rrdstore.create(tmp_path / "a.rrdb", "4MiB", "last:8") as store:
        lines = dumped(store)
    with interchange.restore(tmp_path / "b.rrdb", lines) as copy:
        assert copy.info().size == 4 << 20


@pytest.mark.parametrize("through", ["memory", "file", "opening"])
def test_a_branch_id_is_not_given_again(tmp_path, through):
    """Were it, what stood on the deleted branch elsewhere (a copy, a lease) would mean another one."""
    with rrdstore.create(tmp_path / "a.rrdb", "4MiB", "last:8") as store:
        store.branch("main").fork("gone")
        store.delete_branch("gone")
        lines = dumped(store)
    if through == "memory":
        copy = interchange.load(lines)
    elif through == "file":
        interchange.restore(tmp_path / "b.rrdb", lines).close()
        copy = rrdstore.open(tmp_path / "b.rrdb")
    else:
        copy = rrdstore.open(tmp_path / "a.rrdb")
    with copy:
        assert json.loads(dumped(copy)[0])["line"] == 2
        copy.branch("main").fork("new")
        assert [line["id"] for line in map(json.loads, dumped(copy)) if line.get("branch") == "new"] == [3]


def test_two_dumps_of_one_store_are_equal():
    with rrdstore.memory() as store:
        store.branch("main").set("/a", b"\xff")
        assert dumped(store) == dumped(store)


def test_a_commit_that_went_meanwhile_is_left_out_as_thinned(monkeypatch):
    with rrdstore.memory("last:8") as store:
        main = store.branch("main")
        commits = [main.set("/a", b"%d" % number) for number in range(6)]
        gone = {commits[2].number, commits[3].number}
        ledger = type(store.ledger)
        root = ledger.root

        def read(self, record):
            if record.number in gone:
                raise rrdstore.Thinned(self.id(record), None, None)
            return root(self, record)

        monkeypatch.setattr(ledger, "root", read)
        lines: list[str] = []
        done = interchange.dump(store, lines.append)
        monkeypatch.undo()
        assert done.left_out == (commits[2].id, commits[3].id)
        with interchange.load(lines) as copy:
            log = list(copy.branch("main").log())
            assert [commit.thinned for commit in log] == [0, 2, 0, 0, 0]
            assert copy.branch("main").get("/a") == b"5"
            assert sum(1 + commit.thinned for commit in log) == 7


def test_a_file_that_is_there_is_not_touched(tmp_path):
    path = tmp_path / "a.rrdb"
    path.write_bytes(b"mine")
    with rrdstore.memory() as store, pytest.raises(rrdstore.Exists):
        interchange.restore(path, dumped(store), "4MiB")
    assert path.read_bytes() == b"mine"


def test_what_does_not_fit_leaves_nothing_behind(tmp_path):
    with rrdstore.memory("last:8") as store:
        store.branch("main").set("/a", bytes(6 << 20))
        with pytest.raises((rrdstore.StoreFull, rrdstore.TooLarge)):
            interchange.restore(tmp_path / "a.rrdb", dumped(store), "4MiB")
        with pytest.raises(rrdstore.TooSmall):
            interchange.restore(tmp_path / "a.rrdb", dumped(store), "64KiB")
    with rrdstore.memory("last:8") as store:
        for number in range(40):
            store.branch("main").fork(f"b{number}", "last:2")
        with pytest.raises(rrdstore.LimitReached, match="41 branches wanted, this store has 8"):
            interchange.restore(tmp_path / "a.rrdb", dumped(store), "4MiB")
    with rrdstore.memory("last:8") as store:
        for number in range(7):
            store.branch("main").fork(f"b{number}", "last:1000")
        with pytest.raises(rrdstore.TooSmall):
            interchange.restore(tmp_path / "a.rrdb", dumped(store), "4MiB")
    assert list(tmp_path.iterdir()) == []


def test_a_store_with_all_of_everything_fits_a_file_of_its_size(tmp_path):
    """Every branch, tag, pin and slot that there is room for; and what only the size at creation allowed."""
    with rrdstore.create(tmp_path / "a.rrdb", "4MiB", "last:300") as store:
        main, storage = store.branch("main"), store.ledger.storage
        commits = [main.set("/a", b"%d" % number) for number in range(storage.max_tags + storage.max_pins)]
        store.tune("main", "last:4")
        left = storage.max_slots - 4 - 2 * (storage.max_branches - 2)
        commits = [main.set("/a", b"%d" % number) for number in range(4)]
        work = main.fork("work", f"last:{left}")
        for number in range(storage.max_branches - 2):
            main.fork(f"b{number}", "last:2")
        commits = [work.set("/a", b"%d" % number) for number in range(left)]
        for number in range(storage.max_tags):
            store.tag(f"t{number}", commits[number])
        for number in range(storage.max_pins):
            store.pin(commits[number])
        with pytest.raises(rrdstore.LimitReached):
            main.fork("more", "last:1")
        kept, lines = answers(store), dumped(store)
    with interchange.restore(tmp_path / "b.rrdb", lines) as copy:
        assert answers(copy) == kept
        assert copy.check() == []
        assert dumped(copy)[1:-1] == lines[1:-1]
        assert copy.info().size == 4 << 20


def test_a_policy_that_has_grown_since_fits_a_file_of_the_same_size(tmp_path):
    with rrdstore.create(tmp_path / "a.rrdb", "4MiB", "last:871") as store:
        store.tune("main", f"last:{store.ledger.storage.max_slots}")
        lines = dumped(store)
        with pytest.raises(rrdstore.TooSmall):
            rrdstore.create(tmp_path / "b.rrdb", "4MiB", store.branch("main").keep)
    with interchange.restore(tmp_path / "b.rrdb", lines) as copy:
        assert copy.branch("main").keep == json.loads(lines[-2])["keep"]


def test_what_only_a_snapshot_keeps_is_not_in_a_dump():
    """As in another process that looks: the dump of what is restored is the same then."""
    with rrdstore.memory("last:1") as store:
        main = store.branch("main")
        first = main.set("/a", b"1")
        with main.at(first.id) as then:
            main.set("/a", b"2")
            main.set("/a", b"3")
            lines = dumped(store)
            assert then.get("/a") == b"1"
            assert set(store.plan().ids) == {2, 4}
        assert [json.loads(line)["thinned"] for line in lines[1:-2]] == [3]
        with interchange.load(lines) as copy:
            assert dumped(copy) == lines
