"""The run: a store that appends commits to one is, whenever somebody looks, what a store without runs is."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore.errors import InvalidPath, LeaseEnded
from rrdstore.history.authors import AUTHORS
from rrdstore.store.run import GATHERED, STAYING, Run
from rrdstore.testing import ManualClock
from rrdstore.tree.node import SMALL
from rrdstore.tree.path import split
from tests.store.observed import observed

PATHS = ["/a/b/c", "/a/b/d", "/a/e", "/f", *(f"/wide/n{n}/x" for n in range(40))]
POLICIES = [
    "last:3",
    "last:20",
    "last:5 1s:1m *:4",
    "16c:8",
    "1s:10",
    "last:2 4c:8 1m:5",
    "last:3 1s:5@first 1m:4",
    "last:4 1c:2 1s:5 1m:1h 1M:1y",
]
ACTS = (
    "look",
    "remove",
    "make",
    "meta",
    "tag",
    "fork",
    "transaction",
    "tick",
    "snapshot",
    "large",
    "directory",
    "several",
)

batches = st.lists(
    st.tuples(
        st.integers(0, 60),  # commits that only set leaves
        st.integers(0, 400_000) | st.sampled_from([1_000_000, 61_000_000]),  # microseconds between two of them
        st.integers(1, AUTHORS + 4),  # who makes them
        st.sampled_from([0, 0, 0.2, 0.8]),  # how many make a place as well
        st.sampled_from(ACTS),
        st.integers(0, 1_000_000),  # what is drawn in this part
    ),
    min_size=1,
    max_size=6,
)


class NoRun(Run):
    """One that never begins."""

    def begin(self, line, head):
        pass


class Shown:
    """A store, what it gave out, and what that was then."""

    def __init__(self, store, clock, runs):
        self.store, self.clock, self.main = store, clock, store.branch("main")
        self.trees, self.commits, self.snapshots = [], [], []
        if not runs:
            store.ledger.run = NoRun(store.ledger)

    def set(self, path, value, author="", meta=None):
        """Either way that there is."""
        spot = self.main.spot(split(path)) if meta is None and len(self.commits) % 2 else None
        if spot is not None and self.main.set_at(spot, value, author=author):
            self.commits.append(self.main.head)
            return
        self.commits.append(self.main.set(path, value, author=author, meta=meta, message=path))

    def make(self, random):
        above = random.choice(["/made", "/wide", "/a/b", "/a/b/c", f"/new/n{random.randrange(60)}", "/made/deep/er"])
        names = [f"m{random.randrange(80)}" for _ in range(random.randrange(1, 4))]
        paths = [above + "/" + "/".join(names[: n + 1]) for n in range(len(names))]
        way_of_it = random.randrange(3)
        if way_of_it == 0:
            self.commits.append(self.main.set(paths[-1], b"v" * random.choice([0, 9, SMALL + 1]), meta=b"n7"))
        elif way_of_it == 1:
            self.plainly(paths[-1], b"v" * random.choice([0, 9, SMALL + 1]))
        else:
            self.commits.append(self.main.change([(path, path.encode(), b"n%d" % n) for n, path in enumerate(paths)]))

    def plainly(self, path, value):
        """Make a place, or set it, with all that is missing above it: by its way, or edit by edit."""
        names = split(path)
        above = ["/" + "/".join(names[:end]) for end in range(1, len(names))]
        missing = [place for place in above if place not in self.main]
        way = self.main.way(names)
        if way is not None and self.main.make([path, *reversed(missing)], way, value, b"n7"):
            self.commits.append(self.main.head)
            return
        edits = [(place, b"", b"n7") for place in missing]
        self.commits.append(self.main.change([*edits, (path, value, b"n7")]))

    def little(self, random):
        """A few changes at once, and removals, of places that the others change."""
        edits = []
        for n in range(random.randrange(1, 5)):
            path = random.choice([*PATHS, "/a", "/a/b", f"/made/m{random.randrange(80)}", f"/index/n{n}"])
            value = random.choice([None, b"", b"%d" % n, b"v" * SMALL])
            edits.append((path, value, None if value is None else random.choice([None, b"n3"])))
        if random.random() < 0.3:  # Of a leaf a directory, which then is set itself.
            place = f"/made/m{random.randrange(8)}"
            edits += [(f"{place}/kid", b"%d" % random.randrange(9), None), (place, b"v", None)]
        self.commits.append(self.main.change(edits, author=f"who {random.randrange(3)}"))

    def act(self, what, number, random):
        path, main, store = random.choice(PATHS), self.main, self.store
        match what:
            case "remove" if path in main:
                main.remove(path)
            case "make":
                main.set(f"{path}-{number}/new", b"made")
            case "several":
                main.change([(path, b"1", None), (f"{path}/below", b"2", b"n1"), ("/none", None, None)])
            case "meta":
                main.set(path, b"with", meta=b"n%d" % number)
            case "tag":
                store.tag(f"t{number}", main.head)
            case "fork":
                work = main.fork(f"w{number}")
                work.set(path, b"there")
                work.set(path, b"there again")
                main.merge(work)
            case "transaction":
                with main.transaction() as tx:
                    tx.set(path, (tx.get("/f") if "/f" in tx else b"") + b".")
                    tx.set("/f", b"")
            case "tick":
                store.tick()
            case "snapshot":
                self.snapshots.append(main.at(main.head.id))
            case "large":
                main.set(path, b"l" * (SMALL + 1))
            case "directory":
                main.set("/a/b", b"has a value too")
        self.trees.append((main.tree, contents(main.tree)))

    def seen(self):
        number = lambda one: int(one.split("-")[0])  # noqa: E731 - ids differ between stores
        return (
            observed(self.store, ids=False),
            [(one.number, one.time, one.thinned, dict(one.authors), one.kept, [number(p) for p in one.kept_parents])
             for one in self.commits],
            {one.number: dict(one.authors) for one in self.main.log()},
        )  # fmt: skip


def contents(tree):
    return [(path, node.value, node.meta, node.created, node.modified) for path, node in tree.descend()]


def two(tmp_path_factory, in_file, keep):
    for runs in (True, False):
        clock = ManualClock()
        if in_file:
            path = tmp_path_factory.mktemp("run") / "s.rrdb"
            yield Shown(rrdstore.create(path, "8MiB", keep, sync="none", clock=clock), clock, runs)
        else:
            yield Shown(rrdstore.memory(keep, clock=clock), clock, runs)


@pytest.mark.parametrize("in_file", [False, True], ids=["memory", "file"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keep=st.sampled_from(POLICIES), script=batches)
def test_whoever_looks_sees_what_there_would_be_without_runs(tmp_path_factory, in_file, keep, script):
    seen = []
    for one in two(tmp_path_factory, in_file, keep):
        for path in PATHS:
            one.set(path, b"")
        for at, (count, passes, authors, news, what, seed) in enumerate(script):
            random = Random(seed)
            for n in range(count):
                one.clock.advance(passes / 1e6)
                if random.random() < news:
                    one.make(random)
                if random.random() < news / 2:
                    one.little(random)
                one.set(random.choice(PATHS), b"%d" % n, author=f"who {n % authors}")
            one.act(what, at, random)
        for tree, was in one.trees:
            assert contents(tree) == was
        seen.append(one.seen())
        for snapshot in one.snapshots:
            snapshot.close()
        assert one.store.check() == []
        one.store.close()
    assert seen[0] == seen[1]


@pytest.mark.parametrize(("keep", "most"), [("last:5 1m:10", 1300), ("last:512", 1300), ("last:3000", STAYING)])
@pytest.mark.parametrize("authors", [1, AUTHORS, 5 * AUTHORS])
def test_a_run_is_settled_before_it_is_too_long(tmp_path_factory, monkeypatch, keep, most, authors):
    monkeypatch.setattr("rrdstore.store.run.LONGEST", 1300)
    seen, longest = [], []
    for one in two(tmp_path_factory, False, keep):
        lengths, random, ledger = [], Random(keep), one.store.ledger
        for n in range(2900):
            who = min(random.randrange(authors), random.randrange(authors))
            if n == 500:
                one.clock.advance(61)
            if n == 100 or n % 10:
                one.main.set(f"/a/{n % 7}", b"%d" % n, author=f"who {who}")
            else:
                one.set(f"/a/{n % 7}", b"%d" % n, author=f"who {who}")
            lengths.append(ledger.number - ledger._history.graph.numbers[-1])
            assert len(ledger.run.records) <= 512 + GATHERED
        longest.append(max(lengths))
        seen.append(one.seen())
    assert longest == [most, 0]
    assert seen[0] == seen[1]


def test_what_is_appended_copies_nothing_until_somebody_takes_the_tree():
    with rrdstore.memory("last:100", clock=ManualClock()) as store:
        main = store.branch("main")
        for n in range(3):
            main.set("/a/b", b"%d" % n)
        root = main.now.root
        main.set("/a/b", b"in place")
        assert main.now.root is root
        assert main.get("/a/b") == b"in place"
        assert main.list("/a") == ("b",)
        assert "/a/b" in main
        assert "/a/c" not in main
        taken = main.tree
        main.set("/a/b", b"copied")
        assert main.now.root is not root
        assert taken.stat("/a/b").value == b"in place"
        assert main.at(str(main.head.number - 1)).tree.root is taken.root


def test_what_cannot_be_is_refused_and_nothing_has_happened(tmp_path):
    with rrdstore.create(tmp_path / "s.rrdb", "8MiB", "last:100", clock=ManualClock()) as store:
        main = store.branch("main")
        for n in range(3):
            main.set("/a", b"%d" % n)
        assert store.ledger.run.records
        for refused in (
            lambda: main.set("a", b""),
            lambda: main.set("//", b""),
            lambda: main.set("/a", b"", author=b"x"),
        ):
            with pytest.raises((InvalidPath, TypeError)):
                refused()
        assert main.get("/a") == b"2"
        assert main.head.number == 4
        assert store.unstored == 3


@pytest.mark.parametrize("where", ["write", "_holds", "feed"])
def test_an_interrupt_leaves_what_the_journal_has(tmp_path, monkeypatch, where):
    """Ctrl-C at any place of a commit: what is here and what a reopening finds are one."""
    with rrdstore.create(tmp_path / "s.rrdb", "8MiB", "last:100 1s:1m", series=["/a:10"], clock=ManualClock()) as store:
        main = store.branch("main")
        for n in range(5):
            main.set("/a", b"%d" % n)
        run = store.ledger.run
        assert run.records

        owner = {"write": store.ledger.storage, "_holds": Run, "feed": store.ledger.series}[where]

        def interrupted(*_, **__):
            patch.undo()  # Being again what the journal has takes the same way.
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(owner, where, interrupted)
            with pytest.raises(KeyboardInterrupt):
                main.set("/a", b"interrupted")
        now, number = main.get("/a"), main.head.number
        assert (now, number) in {(b"4", 6), (b"interrupted", 7)}
        if where != "write":
            assert now == b"interrupted"
        main.set("/a", b"after")
        was = observed(store)
        killed = tmp_path / "killed"
        killed.mkdir()
        for file in list(tmp_path.glob("s.rrdb*")):
            (killed / file.name).write_bytes(file.read_bytes())
    with rrdstore.open(killed / "s.rrdb", clock=ManualClock()) as again:
        now = observed(again)
        assert now["commits"] == was["commits"]
        assert again.branch("main").get("/a") == b"after"


@pytest.mark.parametrize(("what", "meta"), [("linked", None), ("replaced", b"n1")])
def test_a_memory_store_that_is_interrupted_is_as_before(monkeypatch, what, meta):
    done = getattr(rrdstore.store.run, what)
    with rrdstore.memory("last:100", clock=ManualClock()) as store:
        main = store.branch("main")
        for n in range(7):
            main.set("/a/b", b"%d" % n)
        assert main.tree.get("/a/b").value == b"6"  # And the next copies a path.

        def interrupted(*arguments):
            done(*arguments)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(rrdstore.store.run, what, interrupted)
            with pytest.raises(KeyboardInterrupt):
                main.set("/a/b", b"lost", meta)
        assert main.get("/a/b") == b"6"
        assert main.head.number == 8
        main.set("/a/b", b"kept")
        assert [one.number for one in main.log()] == list(range(9, 0, -1))
        assert main.at("8").get("/a/b") == b"6"


def test_a_lease_that_ends_in_a_run_ends():
    with rrdstore.memory("last:100", clock=(clock := ManualClock())) as store:
        main = store.branch("main")
        main.set("/a", b"")
        work = main.fork("work", lease=60)
        work.set("/b", b"")
        for n in range(10):
            main.set("/a", b"%d" % n)
        assert store.ledger.run.records
        clock.advance(61)
        main.set("/a", b"later")
        with pytest.raises(LeaseEnded):
            main.merge(work)


def test_what_a_run_stores_is_what_it_changed(tmp_path_factory):
    """A tree that was undone has the stored containers that it had, not copies of them."""
    taken = []
    for one in two(tmp_path_factory, True, "last:40"):
        for first in range(0, 400, 50):
            with one.main.transaction() as tx:
                for n in range(first, first + 50):
                    tx.set(f"/local/{n}/a/b", b"")
        one.store.tick()
        for _ in range(3):
            for n in range(60):
                one.set(f"/local/{7 * n % 400}/a/b", b"%d" % n)
            one.store.tick()
        taken.append((one.store.info().live, one.store.ledger.storage._objects.superblock.next))
        one.store.close()
    assert taken[0] == taken[1]
