"""at, tags, pins, ids: what a user calls a commit, by table."""

from datetime import UTC, datetime, timedelta

import pytest

import rrdstore

SECOND = 1_000_000


@pytest.fixture
def history(home):
    """Ten commits a minute apart; /n is the number of each, the head is now."""
    with home.create("last:100") as store:
        main = store.branch("main")
        made = [main.head]
        for n in range(1, 10):
            home.clock.advance(60)
            made.append(main.set("/n", b"%d" % n))
        yield store, main, made, home.clock


def micros(moment):
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_a_moment_is_the_newest_commit_at_or_before_it(history):
    _, main, made, _ = history
    time = made[5].time
    unix = f"@{micros(time) / SECOND:.6f}"
    for when in ("4m ago", "4m", "-4m", "-4m ago", "3m59s", "239.5s", time, time + timedelta(seconds=59.9), unix,
                 time.isoformat(), time.replace(tzinfo=None).isoformat(), micros(time)):  # fmt: skip
        with main.at(when) as snapshot:
            assert (snapshot.commit, snapshot.get("/n"), snapshot.exact) == (made[5], b"5", True), when
            assert snapshot.window == (made[5].time, made[6].time)
    assert main.at(time - timedelta(microseconds=1)).commit == made[4]
    for when in ("now", "0s", time + timedelta(days=400)):
        assert main.at(when).commit == made[9]
        assert main.at(when).window == (made[9].time, None)


def test_before_the_first_commit_there_is_nothing(history):
    _, main, made, _ = history
    for when in ("1h ago", made[0].time - timedelta(microseconds=1), "@0", "1970-01-01"):
        with pytest.raises(rrdstore.NotFound):
            main.at(when)


@pytest.mark.parametrize("when", ["yesterday", "", "2x ago", "@", "2023-13-01", "-", "main", None, True, "9" * 80])
def test_what_is_no_moment_says_what_one_is(history, when):
    _, main, *_ = history
    with pytest.raises(rrdstore.StoreError) as refused:
        main.at(when)
    assert isinstance(refused.value, rrdstore.InvalidWhen | rrdstore.NotFound)


def test_an_id_and_its_beginnings_down_to_the_number(history):
    _, main, made, _ = history
    commit = made[5]
    number, proof = commit.id.split("-")
    for length in range(9):
        assert main.at(f"{number}-{proof[:length]}").commit == commit
    assert main.at(number).commit == commit
    assert main.at(commit.id).exact


def test_ids_that_were_never_given_out_are_not_found(history):
    store, main, made, _ = history
    number, proof = made[5].id.split("-")
    other = made[6].id.split("-")[1]
    for wrong in (f"{number}-{other}", f"{number}-{proof}0", f"0{number}-{proof}", f"0{number}", "0", "0-00000000",
                  f"{made[-1].number + 1}", f"{made[-1].number + 1}-{proof}", f"{number}-{proof.upper()}x",
                  "٣", f"{'9' * 19}-{proof}"):  # fmt: skip
        for ask in (main.at, store.explain, store.pin, lambda name: store.tag("t", name)):
            with pytest.raises(rrdstore.StoreError) as refused:
                ask(wrong)
            assert isinstance(refused.value, rrdstore.NotFound | rrdstore.InvalidWhen), wrong
    assert not store.tags


def test_the_beginning_of_a_number_is_not_taken_for_it(home):
    """Commit 1 was made and thinned: "1" must not be 15, though that is the only kept one that begins so."""
    with home.create("last:2") as store:
        main = store.branch("main")
        while main.head.number < 15:
            main.set("/a", b"%d" % main.head.number)
        with pytest.raises(rrdstore.Thinned):
            main.at("1")
        assert main.at("15").commit == main.head


def test_a_dropped_id_is_thinned_and_names_its_neighbours(home):
    with home.create("last:1") as store:
        main = store.branch("main")
        made = [main.head, *(main.set("/a", b"%d" % n) for n in range(6))]
        store.tag("t", made[6])
        store.pin(made[6])
        more = [main.set("/a", b"") for _ in range(3)]
        for commit in (more[0], more[1], more[0].id, more[1].id[:-1], str(more[1].number)):
            for ask in (store.tree, store.pin):
                with pytest.raises(rrdstore.Thinned) as gone:
                    ask(commit)
                assert (gone.value.before, gone.value.after) == (made[6].id, more[2].id)
        with pytest.raises(rrdstore.Thinned) as gone:
            main.at(made[3].id)
        assert (gone.value.id, gone.value.before, gone.value.after) == (made[3].id, None, made[6].id)
        with pytest.raises(rrdstore.Thinned):
            _ = made[3].digest
        assert not made[3].kept
        assert (made[3].message, made[3].author) == ("", "")
        explained = store.explain(made[3])
        assert (explained.kept, explained.reasons, explained.after) == (False, (), made[6].id)


def test_a_dropped_id_of_a_later_opening_with_nothing_kept_after_it(lasting):
    with lasting.create("last:1") as store:
        assert store.branch("main").head.number == 1
    for _ in range(3):
        store = lasting.open()
        work = store.branch("main").fork("work")
        commit = work.set("/a", b"")
        store.delete_branch("work")
        with pytest.raises(rrdstore.Thinned) as gone:
            store.tree(commit.id)
        assert gone.value.after is None
        store.close()


def test_a_window_with_thinned_commits_in_it_is_not_exact(home):
    with home.create("1m:10") as store:
        main = store.branch("main")
        home.clock.advance(300 - home.clock.wall() // SECOND % 60)
        made = []
        for n in range(9):
            made.append(main.set("/n", b"%d" % n))
            home.clock.advance(20)
        assert [commit.kept for commit in made] == [False, False, True] * 3
        with main.at(made[5].time) as snapshot:
            assert snapshot.commit == made[5]
            assert not snapshot.exact
        with main.at(made[4].time) as snapshot:
            assert (snapshot.commit, snapshot.exact) == (made[2], False)
            assert snapshot.window == (made[2].time, made[5].time)
        assert made[5].thinned == 2
        with main.at(made[8].time) as snapshot:
            assert snapshot.exact


def test_a_fork_was_its_upstream_before_it_was_forked(history):
    _, main, made, clock = history
    clock.advance(60)
    work = main.fork("work")
    clock.advance(60)
    main.set("/n", b"on main")
    clock.advance(60)
    own = work.set("/n", b"own")
    assert work.at("now").commit == own
    assert work.at("1m").commit == made[9]
    assert work.at("1m").window == (made[9].time, own.time)
    assert work.at(made[3].time).commit == made[3]
    assert main.at("1m").get("/n") == b"on main"


class TestTags:
    def test_a_tag_keeps_its_commit_and_names_it(self, home):
        with home.create("last:1") as store:
            main = store.branch("main")
            commit = main.set("/a", b"tagged")
            store.tag("v1", commit)
            store.tag("also", commit.id)
            store.tag("by tag", "v1")
            main.set("/a", b"later")
            assert dict(store.tags) == {"v1": commit, "also": commit, "by tag": commit}
            assert main.at("v1").get("/a") == store.tree("also").get("/a").value == b"tagged"
            store.untag("v1")
            store.untag("also")
            assert commit.kept
            store.untag("by tag")
            assert not commit.kept
            with pytest.raises(rrdstore.NotFound) as absent:
                store.untag("v1")
            assert (absent.value.what, absent.value.name) == ("tag", "v1")

    def test_a_name_is_given_once(self, store, main):
        store.tag("v1", main.head)
        with pytest.raises(rrdstore.Exists) as taken:
            store.tag("v1", main.set("/a", b""))
        assert (taken.value.what, taken.value.name) == ("tag", "v1")

    def test_a_tag_comes_before_a_moment_of_that_name_everywhere(self, history):
        store, main, made, _ = history
        store.tag("2h", made[3])
        assert main.at("2h").commit == made[3]
        assert [commit.number for commit in main.log(since="2h")] == [c.number for c in reversed(made[3:])]
        assert not list(store.diff("2h", made[3]))


class TestPins:
    def test_a_pin_keeps_and_is_set_once(self, home):
        with home.create("last:1") as store:
            main = store.branch("main")
            commit = main.set("/a", b"1")
            store.pin(commit)
            store.pin(commit.id)
            main.set("/a", b"2")
            assert store.pins == {commit.id}
            assert commit.kept
            store.unpin(commit)
            assert store.pins == frozenset()
            assert not commit.kept
            with pytest.raises(rrdstore.NotFound) as absent:
                store.unpin(main.head)
            assert absent.value.what == "pin"
            with pytest.raises(rrdstore.Thinned):
                store.unpin(commit)


class TestSnapshots:
    def test_one_holds_its_commit_until_it_is_closed(self, home):
        with home.create("last:1") as store:
            main = store.branch("main")
            commit = main.set("/a", b"1")
            with main.at("now") as first:
                second = main.at(commit.id)
                for n in range(20):
                    main.set("/a", b"later %d" % n)
                    store.tick()
                assert (first.get("/a"), second.list("/"), first.stat("/a").value) == (b"1", ("a",), b"1")
                assert [node.value for node in second.walk("/a/x")] == [b"", b"1"]
                assert "/a" in second
            store.tick()
            assert commit.kept
            second.close()
            second.close()
            store.tick()
            assert not commit.kept
            for use in (second.get, second.stat, second.list, second.walk, lambda path: path in second):
                with pytest.raises(rrdstore.Closed):
                    use("/a")
            assert second.commit == commit

    def test_one_that_is_forgotten_is_closed(self, home):
        with home.create("last:1") as store:
            main = store.branch("main")
            commit = main.set("/a", b"1")
            snapshot = main.at("now")
            main.set("/a", b"2")
            del snapshot
            store.tick()
            assert not commit.kept

    def test_as_many_as_there_may_be_and_closed_ones_do_not_count(self, home):
        with home.create("last:1300") as store:
            main = store.branch("main")
            limit = store.ledger.storage.max_snapshots or 1024
            made = [main.set("/a", b"") for _ in range(limit + 2)]
            for commit in made:
                main.at(commit.id).close()
            opened = [main.at(commit.id) for commit in made[:limit]]
            with pytest.raises(rrdstore.LimitReached) as full:
                main.at(made[limit].id)
            assert (full.value.what, full.value.limit) == ("snapshots", limit)
            assert store.leases == (limit, limit)
            opened.append(main.at(made[0].id))
            with pytest.raises(rrdstore.LimitReached):
                main.transaction()
            opened.pop().close()
            opened.pop().close()
            assert store.leases == (limit - 1, limit)
            main.transaction().abort()


@pytest.mark.parametrize("wall", [2**62, 253_402_300_800 * SECOND, -62_135_596_801 * SECOND, -(2**62)])
def test_a_clock_that_is_beyond_the_calendar_is_shown_as_its_end(home, wall):
    with home.create("last:10 1M:12 1y:5") as store:
        main, year = store.branch("main"), home.clock.wall() // SECOND
        main.set("/a", b"before")
        home.clock.jump_wall(wall // SECOND - year)
        main.set("/a", b"then")
        home.clock.jump_wall(year - wall // SECOND)
        main.set("/a", b"after")
        assert [commit.wall.year for commit in main.log()] == [2026, 9999 if wall > 0 else 1, 2026, 2026]
        assert {commit.time.year for commit in main.log()} == {2026}
