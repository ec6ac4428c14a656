"""Merges of older commits, of other pairs, and by rules: each rule by an example; the machine has them at random."""

import json

import pytest

import rrdstore
from rrdstore import interchange
from rrdstore.store.config import Config


def crossed(main):
    """Two branches that have gone past each other: each has merged what the other was before."""
    main.set("/n", b"0")
    work = main.fork("work")
    ours = main.set("/a", b"1")
    theirs = work.set("/b", b"2")
    main.merge("work")
    work.merge("main", at=ours.id)
    return work, ours, theirs


def nobody(store):
    """The merge bases that no branch has."""
    records = store.ledger.history.graph.records
    return [records[number] for number in store.ledger.history.graph.lines.get(0, ())]


def test_a_commit_that_is_older_than_the_last_exchange_is_merged_from_the_base_before(store, main):
    work, ours, theirs = crossed(main)
    assert work.head.parents == (theirs.id, ours.id)
    assert work.tree == main.tree
    (base,) = nobody(store)
    assert base.number == work.head.number - 1
    assert base.message == "merge base of work and main"
    # The same place changed on either side since: a conflict, and what one side alone changed is not.
    main.set("/a", b"3")
    work.set("/b", b"4")
    main.merge(work)
    assert (main.get("/a"), main.get("/b")) == (b"3", b"4")
    assert not [one for one in nobody(store) if one.number not in store.ledger.history.holds]


def test_a_revert_on_one_of_two_that_went_past_each_other_stands(store, main):
    """From either commit that crossed, or from what they had before, it would come back."""
    work, _, _ = crossed(main)
    main.set("/b", b"")
    work.remove("/a")
    main.merge(work)
    assert "/a" not in main
    assert main.get("/b") == b""


def test_what_both_changed_in_going_past_each_other_is_changed_by_both_for_ever(store, main):
    main.set("/n", b"0")
    work = main.fork("work")
    ours = main.set("/n", b"1")
    work.set("/n", b"2")
    with pytest.raises(rrdstore.Conflict):
        main.merge("work")
    main.set("/n", b"2")
    main.merge("work")
    work.merge("main", at=ours.id, rules=[("/n", "ours")])
    assert work.head.parents[1] == ours.id
    main.set("/n", b"5")
    with pytest.raises(rrdstore.Conflict) as refused:
        main.merge(work)
    assert [clash.path for clash in refused.value.clashes] == ["/n"]


def test_what_has_been_merged_is_nothing_new_and_what_is_older_still_is_refused(store, main):
    work, ours, theirs = crossed(main)
    head = work.head
    assert work.merge("main", at=ours.id) == head
    before = main.set("/c", b"1")
    main.set("/c", b"2")
    main.merge(work)
    work.merge(main)
    assert work.merge(main, at=before.id) == work.head
    assert main.merge(work, at=theirs.id) == main.head


def test_three_times_past_each_other_and_then_the_older_one_is_refused(store, main):
    work = main.fork("work")
    first = main.set("/a", b"1")
    second = main.set("/a", b"2")
    for pinned in (first, second):
        store.pin(pinned)
    work.set("/b", b"1")
    main.merge(work)
    work.set("/b", b"2")
    main.merge(work)
    with pytest.raises(rrdstore.Unmergeable) as refused:
        work.merge(main, at=first.id)
    assert "older than what the two have exchanged" in str(refused.value)
    work.merge(main)
    store.check()


def test_a_commit_that_the_other_does_not_have_is_refused(store, main):
    work = main.fork("work")
    stray = work.set("/a", b"1")
    other = main.fork("other")
    with pytest.raises(rrdstore.Unmergeable) as refused:
        main.merge(other, at=stray.id)
    assert "does not have commit" in str(refused.value)
    main.set("/c", b"1")
    assert main.merge(work, at=stray.id).parents[1] == stray.id


def test_two_forks_merge_what_their_upstream_has_already(store, main):
    one, two = main.fork("one"), main.fork("two")
    one.set("/a", b"1")
    two.set("/b", b"2")
    with pytest.raises(rrdstore.Unmergeable):
        two.merge(one)
    main.merge(one)
    main.set("/c", b"3")
    assert two.merge(one).parents[1] == one.head.id
    assert two.list("/") == ("a", "b")
    main.merge(two)
    assert main.list("/") == ("a", "b", "c")
    two.merge(main)
    one.merge(main)
    assert one.tree == two.tree == main.tree


def test_a_fork_of_a_fork_merges_what_is_between_them(store, main):
    work = main.fork("work")
    deep = work.fork("deep")
    ahead = deep.set("/a", b"1")
    with pytest.raises(rrdstore.Unmergeable):
        main.merge(deep)
    work.merge(deep)
    deep.set("/b", b"1")
    assert main.merge(deep, at=ahead.id).parents[1] == ahead.id
    main.set("/c", b"1")
    with pytest.raises(rrdstore.Unmergeable):
        deep.merge(main)
    work.merge(main)
    assert deep.merge(main).parents[1] == main.head.id
    assert deep.list("/") == ("a", "b", "c")


def test_a_base_of_two_outlives_crash_check_dump_and_is_freed(lasting):
    store = lasting.create("last:2")
    main = store.branch("main")
    work, _, _ = crossed(main)
    again = lasting.image().open()
    assert [one.key for one in nobody(again)] == [one.key for one in nobody(store)]
    again.branch("main").set("/a", b"9")
    again.branch("work").merge("main")
    assert again.branch("work").get("/a") == b"9"
    again.close()
    store.tick()
    assert store.check() == []
    store.close()
    store = lasting.open()
    (base,) = nobody(store)
    assert store.info().kept <= store.info().bound
    lines: list[str] = []
    interchange.dump(store, lines.append)
    restored = interchange.load(lines)
    assert next(json.loads(line) for line in lines if '"branch":"work"' in line)["base"] == base.number
    main, work = restored.branch("main"), restored.branch("work")
    main.set("/b", b"7")
    work.set("/a", b"8")
    work.merge("main")
    assert (work.get("/a"), work.get("/b")) == (b"8", b"7")
    main, work = store.branch("main"), store.branch("work")
    for _ in range(3):
        main.set("/x", b"1")
        work.merge("main")
        work.set("/y", b"1")
        main.merge("work")
    assert nobody(store) == []
    store.tick()
    assert store.check() == []
    store.close()


def test_a_crash_in_the_middle_of_what_a_snapshot_alone_kept(lasting):
    """The commit that was merged went with the snapshot; recovery has it still, until it has merged it again."""
    store = lasting.create("last:1")
    main = store.branch("main")
    work = main.fork("work")
    ours = main.set("/a", b"1")
    store.tick()
    snapshot = main.at(ours.id)
    main.set("/c", b"1")
    work.set("/b", b"2")
    main.merge("work")
    work.merge("main", at=ours.id)
    again = lasting.image().open()
    assert again.branch("work").head.parents[1] == ours.id
    assert again.branch("work").list("/") == ("a", "b")
    assert again.check() == []
    again.branch("work").merge("main")
    again.close()
    snapshot.close()
    store.close()


@pytest.mark.parametrize(
    ("rule", "ours", "theirs", "result"),
    [
        ("counter", b"3", b"5", b"7"),
        ("ours", b"3", b"5", b"3"),
        ("theirs", b"3", b"5", b"5"),
        ("last", b"3", b"5", b"5"),
    ],
)
def test_rules_settle_what_both_changed(store, main, rule, ours, theirs, result):
    main.set("/n", b"1")
    work = main.fork("work")
    main.set("/n", ours)
    work.set("/n", theirs)
    with pytest.raises(rrdstore.Conflict):
        main.merge(work)
    main.merge(work, rules=[("/n", rule)])
    assert main.get("/n") == result


def test_counters_of_two_that_went_past_each_other_count_everything_once(store, main):
    store.ledger.config = Config(merge=rrdstore.merge_rules([("/n", "counter")]))
    main.set("/n", b"10")
    work = main.fork("work")
    ours = main.set("/n", b"11")
    work.set("/n", b"12")
    main.merge(work)
    work.merge(main, at=ours.id)
    assert (main.get("/n"), work.get("/n")) == (b"13", b"13")
    main.set("/n", b"20")
    work.set("/n", b"14")
    main.merge(work)
    work.merge(main)
    assert (main.get("/n"), work.get("/n")) == (b"21", b"21")


def test_a_lease_is_counted_in_commits_and_renewed_by_each_merge(home):
    store, clock = home.create("last:9"), home.clock
    main = store.branch("main")
    work = main.fork("work", lease="10s")
    for _ in range(3):
        clock.advance(9)
        work.set("/a", b"%d" % clock.wall())
        main.merge(work)
    clock.advance(1_000)
    assert main.merge(work) == main.head, "time alone ends nothing"
    main.set("/b", b"1")
    with pytest.raises(rrdstore.LeaseEnded) as ended:
        work.merge(main)
    assert (ended.value.branch, ended.value.other) == ("work", "main")
    assert "patch('main', since=" in str(ended.value)
    base = work._line
    assert (base.base, base.older, base.upstream) == (0, 0, main._line.id)
    assert store.info().kept <= store.info().bound
    done = work.patch("main", since=ended.value.since)
    assert (work.get("/b"), len(done.parents), done.message) == (
        b"1",
        1,
        f"patch of main since {ended.value.since.split('-')[0]}",
    )
    assert work.patch("main", since=ended.value.since) == done
    store.check()
    store.close()


def test_a_lease_counts_from_the_last_commit_though_its_branch_is_gone(home):
    """It counted from the newest that was kept, and so could end at the first commit."""
    store, clock = home.create("last:9"), home.clock
    main = store.branch("main")
    gone = main.fork("gone")
    clock.advance(100)
    gone.set("/a", b"1")
    store.delete_branch("gone")
    work = main.fork("work", lease="10s")
    clock.advance(9)
    main.set("/b", b"1")
    work.merge(main)
    assert work.get("/b") == b"1"
    store.check()
    store.close()


@pytest.mark.parametrize("reopened", [False, True])
def test_a_lease_counts_from_the_fork_however_long_nobody_wrote_before(lasting, reopened):
    """It counted from the newest commit that was kept, which after an opening was all that was known."""
    store, clock = lasting.create("last:9"), lasting.clock
    gone = store.branch("main").fork("gone")
    clock.advance(100)
    gone.set("/a", b"1")
    store.delete_branch("gone")
    clock.advance(50)
    store.tick()
    if reopened:
        store.close()
        store = lasting.open()
    main = store.branch("main")
    work = main.fork("work", lease="10s")
    clock.advance(9)
    main.set("/b", b"1")
    work.merge(main)
    assert work.get("/b") == b"1"
    clock.advance(11)
    main.set("/b", b"2")
    with pytest.raises(rrdstore.LeaseEnded):
        work.merge(main)
    store.check()
    store.close()


def test_a_lease_outlives_a_crash_and_an_opening(lasting):
    store = lasting.create("last:9")
    work = store.branch("main").fork("work", lease=10)
    lasting.clock.advance(5)
    work.set("/a", b"1")
    again = lasting.image().open()
    again.ledger.clock.advance(6)
    again.branch("main").set("/b", b"1")
    with pytest.raises(rrdstore.LeaseEnded):
        again.branch("main").merge("work")
    again.tick()
    again.close()
    store.close()
    store = lasting.open()
    assert store.branch("main").merge("work").parents
    store.close()


def test_a_patch_conflicts_and_changes_nothing_and_needs_commits_that_the_other_has(store, main):
    main.set("/a", b"1")
    start = main.set("/d/x", b"1")
    work = main.fork("work")
    work.set("/a", b"2")
    work.remove("/d")
    main.set("/a", b"3")
    main.set("/d/y", b"1")
    head = main.head
    with pytest.raises(rrdstore.Conflict) as refused:
        main.patch(work, since=start.id)
    assert (refused.value.paths, refused.value.what, main.head) == (("/a", "/d"), "patch", head)
    with pytest.raises(rrdstore.Unmergeable):
        work.patch("main", since=work.head.id)
    with pytest.raises(rrdstore.NotFound):
        main.patch("nobody", since=start.id)


@pytest.mark.parametrize("lease", ["", "10", "x", "0s", "10q", True, -1])
def test_a_lease_that_is_none_makes_no_branch(store, main, lease):
    with pytest.raises(rrdstore.PolicyError):
        main.fork("work", lease=lease)
    assert list(store.branches) == ["main"]
