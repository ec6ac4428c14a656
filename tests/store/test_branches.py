"""Branches: making, forking, deleting and merging them, by table."""

import pytest

import rrdstore


def test_a_new_store_has_main_with_one_commit_of_nothing(store):
    main = store.branch("main")
    assert list(store.branches) == ["main"]
    assert (main.name, main.keep, main.list("/"), main.get("/")) == ("main", "last:8 1s:1m", (), b"")
    assert [commit.parents for commit in main.log()] == [()]
    assert (dict(store.tags), store.pins) == ({}, frozenset())


def test_a_branch_that_is_not_there_is_not_made_by_asking(store, main):
    for call in (store.branch, store.delete_branch, main.merge):
        with pytest.raises(rrdstore.NotFound) as absent:
            call("mian")
        assert (absent.value.what, absent.value.name) == ("branch", "mian")
    assert list(store.branches) == ["main"]


def test_create_makes_an_empty_branch_once(store, main):
    main.set("/a", b"1")
    made = store.branch("x", create=True, keep="last:3")
    assert (made.list("/"), made.keep, made.head.parents, made.head.branch) == ((), "last:3", (), "x")
    made.set("/b", b"2")
    again = store.branch("x", create=True, keep="last:9")
    assert again == made
    assert (again.keep, again.list("/"), main.list("/")) == ("last:3", ("b",), ("a",))


def test_a_fork_begins_at_the_head_with_a_policy_of_its_own(store, main):
    head = main.set("/a", b"1")
    work = main.fork("work")
    assert (work.head, work.keep) == (head, rrdstore.BRANCH_DEFAULT)
    assert work.tree == main.tree
    made = work.set("/a", b"2")
    assert (made.parents, made.branch, head.branch) == ((head.id,), "work", "main")
    assert (main.get("/a"), work.get("/a")) == (b"1", b"2")
    assert [commit.number for commit in work.log()] == [made.number, head.number, head.number - 1]
    with pytest.raises(rrdstore.Exists) as taken:
        main.fork("work")
    assert (taken.value.what, taken.value.name) == ("branch", "work")
    assert main.fork("other", keep="1s:5s").keep == "1s:5s"


@pytest.mark.parametrize("keep", ["", "all:1h", "last:0", "1m:1s", "nonsense"])
def test_a_policy_that_cannot_be_makes_no_branch(store, main, keep):
    for make in (lambda: main.fork("x", keep=keep), lambda: store.branch("x", create=True, keep=keep)):
        with pytest.raises(rrdstore.PolicyError):
            make()
    assert list(store.branches) == ["main"]
    store.check()


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 256, "é" * 128, "\ud800", None, 7])
def test_a_name_that_cannot_be_makes_nothing(store, main, name):
    for make in (main.fork, lambda name: store.branch(name, create=True), lambda name: store.tag(name, main.head)):
        with pytest.raises(rrdstore.StoreError):
            make(name)
    assert list(store.branches) == ["main"]
    assert not store.tags


def test_a_deleted_branch_is_gone_for_every_handle(store, main):
    work = main.fork("work")
    commit = work.set("/a", b"1")
    tx, handle = work.transaction(), work.watch("/", lambda *_: None)
    store.delete_branch("work")
    assert commit.branch == ""
    for use in (
        lambda: work.head,
        lambda: work.get("/"),
        lambda: work.set("/a", b""),
        work.transaction,
        work.log,
        lambda: work.at("now"),
        lambda: work.fork("y"),
        lambda: work.watch("/", print),
        lambda: main.merge(work),
        lambda: work.keep,
        tx.commit,
    ):
        with pytest.raises(rrdstore.NotFound) as absent:
            use()
        assert (absent.value.what, absent.value.name) == ("branch", "work")
    handle.close()
    assert list(store.branches) == ["main"]


def test_a_handle_of_a_deleted_branch_is_not_one_of_the_next(store, main):
    """An id given again would make it so: a transaction of the old one would commit on the new."""
    old = main.fork("old")
    tx = old.transaction()
    tx.set("/stray", b"")
    store.delete_branch("old")
    new = main.fork("new")
    with pytest.raises(rrdstore.NotFound):
        tx.commit()
    with pytest.raises(rrdstore.NotFound):
        old.set("/stray", b"")
    assert "/stray" not in new
    assert old != new


def test_main_cannot_be_deleted(store):
    with pytest.raises(rrdstore.ReadOnly):
        store.delete_branch("main")
    assert list(store.branches) == ["main"]


def test_merging_takes_what_the_other_side_changed_and_says_so(store, main):
    main.set("/a", b"1")
    main.set("/gone/below", b"1")
    work = main.fork("work")
    work.set("/a", b"2")
    work.remove("/gone")
    theirs = work.set("/new/deep", b"3", meta=b"m")
    ours = main.set("/b", b"4")
    merged = main.merge("work")
    assert merged == main.head
    assert merged.parents == (ours.id, theirs.id)
    assert merged.message == "merge work into main"
    assert (main.list("/"), main.get("/a"), main.stat("/new/deep").meta) == (("a", "b", "new"), b"2", b"m")
    assert main.merge(work) == merged
    assert work.merge("main", message="back").message == "back"
    assert work.tree == main.tree


@pytest.mark.parametrize(
    ("ours", "theirs", "paths"),
    [
        ([("/a", b"1")], [("/a", b"2")], ["/a"]),
        ([("/a", None)], [("/a/x", b"2")], ["/a"]),
        ([("/a/x", b"2")], [("/a", None)], ["/a"]),
        ([("/n", b"1"), ("/b", b"1")], [("/n", b"2"), ("/b", b"2")], ["/b", "/n"]),
        ([("/a", b"1")], [("/a", b"1")], []),
        ([("/a", None)], [("/a", None)], []),
        ([("/a/x", b"1")], [("/a/y", b"1")], []),
    ],
)  # fmt: skip
def test_a_write_against_a_write_is_a_conflict_that_changes_nothing(store, main, ours, theirs, paths):
    main.set("/a", b"0")
    main.set("/b", b"0")
    work = main.fork("work")
    for branch, edits in ((main, ours), (work, theirs)):
        for path, value in edits:
            if value is None:
                branch.remove(path)
            else:
                branch.set(path, value)
    before, made = main.head, store.info().commits
    if paths:
        with pytest.raises(rrdstore.Conflict) as refused:
            main.merge("work")
        assert sorted(refused.value.paths) == paths
        assert refused.value.what == "merge"
        assert (main.head, store.info().commits) == (before, made)
    else:
        assert main.merge("work").parents[0] == before.id


def test_a_revert_on_one_side_is_not_undone_by_a_merge(store, main):
    """What an older base would lose: o -> x, the other side goes back to o."""
    main.set("/a", b"o")
    work = main.fork("work")
    work.set("/a", b"x")
    main.merge("work")
    main.set("/a", b"o")
    work.set("/b", b"1")
    main.merge("work")
    assert main.get("/a") == b"o"
    work.merge("main")
    assert work.get("/a") == b"o"


def test_branches_without_a_stored_base_are_refused_by_name(store, main):
    one, two = main.fork("one"), main.fork("two")
    alone = store.branch("alone", create=True)
    one.set("/a", b"1")
    two.set("/b", b"2")
    for ours, theirs in ((one, two), (two, one), (main, alone), (alone, main), (main, main)):
        with pytest.raises(rrdstore.Unmergeable) as refused:
            ours.merge(theirs)
        assert (refused.value.branch, refused.value.other) == (ours.name, theirs.name)
    below = one.fork("below")
    below.set("/c", b"3")
    with pytest.raises(rrdstore.Unmergeable):
        main.merge(below)
    one.merge(below)
    store.delete_branch("one")
    main.set("/d", b"4")
    with pytest.raises(rrdstore.Unmergeable):
        below.merge("main")


def test_limits_are_kept_and_name_themselves(lasting):
    store = lasting.create("last:8")
    main, storage = store.branch("main"), store.ledger.storage
    for what, limit, make in (
        ("branches", storage.max_branches - 1, lambda n: main.fork(f"b{n}", keep="last:1")),
        ("tags", storage.max_tags, lambda n: store.tag(f"t{n}", main.head)),
        ("pins", storage.max_pins, lambda n: store.pin(main.set("/a", b"%d" % n))),
    ):
        for n in range(limit):
            make(n)
        with pytest.raises(rrdstore.LimitReached) as full:
            make(limit)
        assert full.value.what == what
    assert store.info().kept <= store.info().bound
    store.pin(min(store.pins))
    store.close()
