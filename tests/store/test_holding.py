"""Another process keeps a transaction open: changes go on, are refused by name or made in memory, and are caught up."""

import os
import signal
from random import Random

import pytest

import rrdstore
from rrdstore.testing import ManualClock
from tests.storage.conftest import foreign, total

SIZE = 4 << 20
KEEP = "last:64 1s:1m *:16"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def size():
    return SIZE


@pytest.fixture
def path(tmp_path, clock, size):
    path = str(tmp_path / "s.rrdb")
    with rrdstore.create(path, size, KEEP, sync="none", clock=clock) as store:
        with store.branch("main").transaction() as tx:
            for n in range(400):
                tx.set(f"/d{n % 20}/k{n}", b"value %d" % n)
        store.branch("main").fork("work")
    return path


def values(branch):
    return {path: node.value for path, node in branch.tree.descend("/")}


def filled(store):
    """Commits that no net can gather, until the journal is full: what was acknowledged, and the refusal."""
    main, random, done = store.branch("main"), Random(1), {}
    while True:
        name, value = f"/wide/{len(done)}", random.randbytes(600)
        try:
            main.set(name, value)
        except rrdstore.Held as held:
            return done, held
        done[name] = value
        assert len(done) < 3_000


def squeezed(store):
    """Pins, until none finds room either."""
    head = store.branch("main").head
    with pytest.raises(rrdstore.Held):  # noqa: PT012 - which of them is refused is the question
        for _ in range(1_000):
            store.pin(head)
            store.unpin(head)


def held(store):
    """Commits until a tick has been refused."""
    main, n = store.branch("main"), 0
    while store.info().held is None:
        main.set(f"/d{n % 20}/k{n % 400}", b"%d" % n)
        n += 1
        assert n < 20_000
    return n


@pytest.mark.parametrize("size", [8 << 20])
def test_thousands_of_commits_go_on_beside_a_reader_and_are_caught_up(path, clock, size):
    with rrdstore.open(path, sync="none", clock=clock) as store, foreign(path) as reader:
        main, work = store.branch("main"), store.branch("work")
        clock.advance(5)
        held(store)
        since = clock.wall()
        nets = 0
        used = store.info().journal_used
        for n in range(6_000):
            clock.advance(0.002)
            branch, top = (work, "w") if n % 9 == 8 else (main, "d")
            branch.set(f"/{top}{n % 20}/k{n % 400}", b"again %d" % n, author=f"a{n % 3}")
            if n % 1_500 == 1_000:
                work.merge("main")
                store.pin(main.head)
                main.fork(f"b{n}", "last:4")
            now = store.ledger.storage.usage().journal_used
            nets += now < used
            used = now
            assert total(path) <= size
        info = store.info()
        assert nets > 4, "the journal was gathered again and again"
        assert f"process {reader.pid} (" in info.held.by
        assert info.held.since <= since
        assert info.held.lost_since is None
        assert not info.degraded
        assert info.unstored > 60
        before = values(main), values(work), main.head.thinned, {name: b.head.id for name, b in store.branches.items()}
        authors = main.head.authors, [(c.number, c.thinned, dict(c.authors)) for c in main.log()]
        # What a kill would leave, read by another process of ours and written by the next.
        for readonly in (True, False):
            if not readonly:
                store.ledger.storage._container.close()
                store.ledger.storage._journal.close()
                store.ledger.storage._closed = store.ledger.closed = True
            with rrdstore.open(path, sync="none", readonly=readonly, clock=clock) as again:
                one, other = again.branch("main"), again.branch("work")
                ids = {name: branch.head.id for name, branch in again.branches.items()}
                assert (values(one), values(other), one.head.thinned, ids) == before
                assert (one.head.authors, [(c.number, c.thinned, dict(c.authors)) for c in one.log()]) == authors
                assert again.check() == []
    with rrdstore.open(path, sync="none", clock=clock) as store:
        store.tick()
        assert store.info().held is None
        assert store.info().unstored == 0
        assert values(store.branch("main")) == before[0]
        assert store.check() == []
    assert total(path) <= size


def test_where_nothing_fits_any_more_changes_are_refused_by_name_and_reading_goes_on(path, clock):
    with rrdstore.open(path, sync="none", clock=clock) as store:
        main = store.branch("main")
        with foreign(path) as reader:
            done, refused = filled(store)
            assert refused.path == path
            assert f"process {reader.pid} (" in refused.by
            head, before = main.head.id, values(main)
            assert before.items() >= done.items()
            squeezed(store)  # What takes 50 bytes may find room where 700 did not.
            pins = store.pins
            for change in (
                lambda: main.set("/wide/more", b"x" * 600),
                lambda: main.fork("more"),
                lambda: store.tag("more", main.head),
                lambda: store.unpin(main.head) if pins else store.pin(main.head),
                lambda: store.delete_branch("work"),
                lambda: store.branch("empty", create=True),
                lambda: store.tune("main", "last:9"),
                lambda: main.remove("/wide"),
                store.tick,
            ):
                with pytest.raises(rrdstore.Held):
                    change()
                assert (main.head.id, values(main), main.keep) == (head, before, str(rrdstore.policy.parse(KEEP)))
                assert (dict(store.tags), store.pins, set(store.branches)) == ({}, pins, {"main", "work"})
            assert store.info().held.by == refused.by
            assert main.at(head).tree.get("/wide/0").value == done["/wide/0"]
            assert total(path) <= SIZE
        main.set("/wide/more", b"and goes on")
        assert store.info().held is None
        store.tag("more", main.head)
        assert store.check() == []
    with rrdstore.open(path, readonly=True) as store:
        assert values(store.branch("main")) == {**before, "/wide/more": b"and goes on"}


def test_in_memory_if_the_owner_chose_so_and_stored_again_by_itself(path, clock, caplog):
    store = rrdstore.open(path, sync="none", clock=clock, when_held="memory")
    main = store.branch("main")
    with foreign(path):
        random, n = Random(1), 0
        while store.info().held is None or store.info().held.lost_since is None:
            clock.advance(0.5)
            main.set(f"/wide/{n}", random.randbytes(600))
            n += 1
            assert n < 3_000
        info = store.info()
        assert info.degraded
        assert info.held.lost_since == clock.wall()
        assert "in memory only" in caplog.text
        journalled = main.head.number
        with rrdstore.open(path, readonly=True, clock=clock) as reader:
            assert reader.branch("main").head.number in {journalled, journalled - 1}
        for more in range(700):
            main.set(f"/d{more % 20}/k{more % 400}", b"in memory %d" % more)
        main.fork("more")
        store.tag("there", main.head)
        with pytest.raises(rrdstore.Held):
            store.close()
        expected = values(main)
        assert total(path) <= SIZE
    for more in range(300):
        main.set("/last", b"%d" % more)
    assert store.info().held is None
    assert "stored again" in caplog.text
    store.close()
    with rrdstore.open(path, sync="none", clock=clock) as store:
        assert values(store.branch("main")) == {**expected, "/last": b"299"}
        assert values(store.branch("more")) == expected
        assert set(store.tags) == {"there"}
        assert store.check() == []


def test_a_crash_in_memory_leaves_what_was_journalled(path, clock):
    store = rrdstore.open(path, sync="none", clock=clock, when_held="memory")
    with foreign(path):
        main, random, n = store.branch("main"), Random(1), 0
        while store.info().held is None or store.info().held.lost_since is None:
            n += 1
            main.set(f"/wide/{n}", random.randbytes(600))
        main.set("/gone", b"?")
        store.ledger.storage._container.close()
        store.ledger.storage._journal.close()
        with rrdstore.open(path, sync="none", clock=clock) as again:
            found = values(again.branch("main"))
            assert f"/wide/{n - 1}" in found
            assert "/gone" not in found
            assert again.check() == []


def test_a_store_is_opened_and_written_while_another_holds_a_full_log(path, clock):
    epoch = 0
    with foreign(path):
        for n in range(4):
            child = os.fork()
            if not child:
                try:
                    store = rrdstore.open(path, sync="none", clock=clock)
                    held(store)
                    store.branch("main").set("/opening", b"%d" % n)
                    os.kill(os.getpid(), signal.SIGKILL)
                finally:
                    os._exit(1)
            assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
            with rrdstore.open(path, sync="none", clock=clock) as store:
                assert store.branch("main").get("/opening") == b"%d" % n
                assert store.info().epoch > epoch
                epoch = store.info().epoch
                assert store.check() == []
        assert total(path) <= SIZE
    with rrdstore.open(path, sync="none", clock=clock) as store:
        assert store.info().epoch == epoch + 1
        assert store.check() == []


def test_series_are_as_if_nobody_had_held_the_store(tmp_path, clock):
    other = ManualClock()
    path = str(tmp_path / "s.rrdb")
    ours = rrdstore.create(path, "6MiB", KEEP, series=["/n/*:4"], sync="none", clock=clock)
    plain = rrdstore.memory(KEEP, series=["/n/*:4"], clock=other)

    def step(n):
        for one, time in ((ours, clock), (plain, other)):
            time.advance(0.3)
            one.branch("main").set(f"/n/{n % 4}", b"%d" % (n * n % 97))
            one.branch("main").set(f"/d/{n % 50}", b"v" * 200)

    with foreign(path):
        for n in range(1_500):
            step(n)
        assert ours.info().held is not None
        assert ours.ledger.storage._journal._words[7], "a net"
        ours.ledger.storage._container.close()
        ours.ledger.storage._journal.close()
        ours = rrdstore.open(path, sync="none", clock=clock)
        for n in range(1_500, 1_520):
            step(n)
    ours.tick()
    for cf in ("average", "min", "max", "last"):
        found, wanted = (one.series("/n/*", cf, step="1s") for one in (ours, plain))
        assert found.paths == wanted.paths
        assert (found.times == wanted.times).all()
        assert str(found.values.tolist()) == str(wanted.values.tolist())
    assert ours.check() == []
    ours.close()
