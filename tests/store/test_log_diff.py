"""log, diff, plan, explain, info: what is told of a history, by table (at random: test_machine)."""

import pytest

import rrdstore


@pytest.fixture
def history(home):
    with home.create("last:100") as store:
        main = store.branch("main")
        for n, place in enumerate(["/a", "/a/b", "/c", "/a/b", "/c/d", "/a"]):
            home.clock.advance(60)
            main.set(place, b"%d" % n)
        home.clock.advance(60)
        main.remove("/a/b")
        yield store, main


def numbers(log):
    return [commit.number for commit in log]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [8, 7, 6, 5, 4, 3, 2, 1]),
        ({"path": "/"}, [8, 7, 6, 5, 4, 3, 2, 1]),
        ({"path": "/a"}, [8, 7, 5, 3, 2]),
        ({"path": "/a/b"}, [8, 5, 3]),
        ({"path": "/c/d"}, [6]),
        ({"path": "/c/d/e"}, []),
        ({"since": "3m"}, [8, 7, 6, 5]),
        ({"until": "3m"}, [5, 4, 3, 2, 1]),
        ({"since": "5m", "until": "3m ago", "path": "/c"}, [4]),
        ({"since": "5"}, [8, 7, 6, 5]),
        ({"since": "1m", "until": "2m"}, []),
    ],
    ids=repr,
)
def test_the_log_is_newest_first_within_what_is_asked_for(history, arguments, expected):
    _, main = history
    assert numbers(main.log(**arguments)) == expected


def test_a_bad_question_is_refused_when_it_is_asked(history):
    store, main = history
    for ask in (
        lambda: main.log("a"),
        lambda: main.log(since="nonsense"),
        lambda: main.log(until="99"),
        lambda: store.diff("nonsense", "now"),
        lambda: store.diff("1", "99"),
        lambda: store.diff("1", "now", path="a"),
    ):
        with pytest.raises(rrdstore.StoreError):
            ask()


def test_a_log_goes_on_past_what_is_thinned_meanwhile(home):
    with home.create("last:4 1s:50") as store:
        main = store.branch("main")
        for n in range(60):
            home.clock.advance(0.4)
            main.set("/a", b"%d" % n)
        before = numbers(main.log())
        seen = []
        for commit in main.log():
            seen.append(commit.number)
            main.set("/a", b"while looking %d" % len(seen))
        gone = [number for number in before if number not in seen]
        assert seen[-1] == before[-1]
        assert seen == [number for number in before if number not in gone]
        kept = numbers(main.log())
        assert not set(gone) & set(kept)
        assert gone


def test_a_merge_is_in_the_log_of_what_it_changed_against_both_sides(history):
    _, main = history
    work = main.fork("work")
    work.set("/c", b"theirs")
    main.set("/n", b"ours")
    merged = main.merge("work")
    assert numbers(main.log("/c"))[:2] == [merged.number - 2, 6]
    assert numbers(main.log("/n")) == [merged.number - 1]
    assert numbers(main.log("/"))[:3] == [merged.number, merged.number - 1, merged.number - 2]


def test_a_difference_is_of_content_and_paths_are_whole(history):
    store, main = history
    first, last = main.at("2").commit, main.head
    changes = {change.path: (change.old and change.old.value, change.new and change.new.value, change.kind)
               for change in store.diff(first, last)}  # fmt: skip
    assert changes == {
        "/a": (b"0", b"5", "changed"),
        "/c": (None, b"2", "added"),
        "/c/d": (None, b"4", "added"),
    }
    assert [change.path for change in store.diff(first, last, path="/c")] == ["/c", "/c/d"]
    assert [change.path for change in store.diff(first, last, path="/c/d")] == ["/c/d"]
    assert not list(store.diff(first, last, path="/nowhere"))
    assert [change.kind for change in store.diff(last, first)] == ["changed", "removed", "removed"]
    with main.at("3") as snapshot:
        assert [c.path for c in store.diff(snapshot, first)] == [c.path for c in store.diff("3", first.id)] == ["/a/b"]
    assert not list(store.diff(main.tree, last))


def test_every_kept_commit_has_its_reasons_in_plan_and_explanation(home):
    with home.create("last:2 1m:5") as store:
        main = store.branch("main")
        made = [main.head]
        for n in range(6):
            home.clock.advance(25)
            made.append(main.set("/a", b"%d" % n))
        work = main.fork("work", keep="last:1")
        held = work.set("/w", b"")
        store.tag("v", held)
        store.pin(made[2])
        snapshot, tx = main.at(made[4].id), main.transaction()
        work.set("/w", b"2")
        store.delete_branch("work")
        plan = store.plan()
        assert not plan.drop
        assert set(plan.keep) == {store.explain(number).id for number in map(str, plan.ids)}
        for commit in plan.keep:
            told = store.explain(commit)
            assert told.kept
            assert {str(reason) for reason in plan.keep[commit]} == {str(reason) for reason in told.reasons}
        said = {commit.number: str(store.explain(commit).reasons) for commit in (held, made[2], made[4], main.head)}
        assert "tag v" in said[held.number]
        assert "pin" in said[made[2].number]
        assert "open snapshot" in said[made[4].number]
        for why in ("head of main", "fork point of a deleted branch", "open transaction", "last:2", "1m:5m"):
            assert why in said[main.head.number], why
        snapshot.close()
        tx.abort()


def test_info_counts(home):
    with home.create("last:2 *:3") as store:
        main = store.branch("main")
        for n in range(20):
            main.set("/a", b"%d" % n)
        main.fork("work", keep="last:5")
        store.tag("t", main.head)
        info = store.info()
        assert (info.commits, info.tags, info.pins, info.epoch >= 1) == (21, 1, 0, True)
        assert info.bound == (2 + 4) + 5 + 2 + 4 + 1
        shown = {branch.name: branch for branch in info.branches}
        assert (shown["main"].made, shown["main"].keep, shown["main"].head) == (21, "last:2 *:3", main.head.id)
        assert (shown["work"].made, shown["work"].kept, shown["work"].head) == (0, 0, main.head.id)
        assert [tier.rows for tier in shown["main"].tiers] == [2, 4]
        assert sum(tier.used for tier in shown["main"].tiers) >= shown["main"].kept - 1


def test_the_trees_of_two_stores_are_told_apart_by_content(tmp_path):
    """Stored alike, they carry the same object numbers for different things."""
    with (
        rrdstore.create(tmp_path / "a.rrdb", size="8MiB", keep="last:4") as one,
        rrdstore.create(tmp_path / "b.rrdb", size="8MiB", keep="last:4") as two,
    ):
        for store, value in ((one, b"1"), (two, b"2")):
            with store.branch("main").transaction() as tx:
                tx.set("/same/d", b"0")
                tx.set("/d/e", value)
            store.tick()
        tree = two.branch("main").tree
        assert one.branch("main").tree.root.number == tree.root.number != 0
        assert [(change.path, change.old.value, change.new.value) for change in one.diff("0m", tree)] == [
            ("/d/e", b"1", b"2")
        ]
        with two.branch("main").at("0m") as snapshot:
            assert [change.path for change in one.diff(snapshot, "0m", "/d")] == ["/d/e"]
        assert not list(one.diff("0m", one.branch("main").tree))
