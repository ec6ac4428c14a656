"""Watches: who is told of what, when, in which order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore.testing.calls import path, removal, setting
from rrdstore.testing.trees import above


@pytest.fixture
def told():
    """A place for what a watch is told, and a maker of callbacks that write it there."""

    class Told(list):
        def __call__(self, commit, paths):
            self.append((commit.number, paths))

        def paths(self):
            return [paths for _, paths in self]

    return Told()


def test_one_call_a_commit_in_order_after_it_is_done(store, main, told):
    seen = []
    handle = main.watch("/a", lambda commit, paths: seen.append((commit, paths, main.head, main.get("/a/x"))))
    assert handle.start == main.head
    first = main.set("/a/x", b"1")
    with main.transaction() as tx:
        for name in "yxz":
            tx.set(f"/a/{name}", b"2")
        tx.set("/b", b"")
        assert len(seen) == 1
    main.set("/b/c", b"")
    last = main.remove("/a/z")
    assert [commit for commit, *_ in seen] == [first, main.at(str(first.number + 1)).commit, last]
    assert [paths for _, paths, *_ in seen] == [("/a/x",), ("/a/y", "/a/x", "/a/z"), ("/a/z",)]
    assert [head for *_, head, _ in seen] == [commit for commit, *_ in seen]
    assert [value for *_, value in seen] == [b"1", b"2", b"2"]


@pytest.mark.parametrize(
    ("watched", "depth", "expected"),
    [
        ("/", None, ["/a", "/a/b", "/a/b/c", "/x"]),
        ("/", 0, []),
        ("/", 1, ["/a", "/x"]),
        ("/a", None, ["/a", "/a/b", "/a/b/c"]),
        ("/a", 0, ["/a"]),
        ("/a", 1, ["/a", "/a/b"]),
        ("/a/b", None, ["/a/b", "/a/b/c"]),
        ("/a/b/c/d", None, []),
        ("/a/bb", None, []),
    ],
)  # fmt: skip
def test_depth_counts_levels_below_the_watched_path(main, told, watched, depth, expected):
    main.watch(watched, told, depth=depth)
    for place in ("/a", "/a/b", "/a/b/c", "/x"):
        main.set(place, b"")
    assert told.paths() == [(place,) for place in expected]


@pytest.mark.parametrize("depth", [None, 0, 1])
def test_the_removal_of_an_ancestor_is_told_as_what_was_removed(main, told, depth):
    main.set("/a/b/c", b"")
    main.watch("/a/b/c", told, depth=depth)
    main.watch("/a/b/not there", told, depth=depth)
    main.remove("/a")
    assert told.paths() == [("/a",), ("/a",)]
    main.set("/a", b"")
    assert len(told) == 2


def test_a_merge_is_told_by_what_it_changes_here(main, told):
    main.set("/a/b", b"1")
    main.set("/gone/x", b"1")
    work = main.fork("work")
    work.watch("/", told)
    main.watch("/", told)
    work.set("/a/b", b"2")
    work.remove("/gone")
    work.set("/new/c", b"")
    del told[:]
    merged = main.merge("work")
    assert [number for number, _ in told] == [merged.number]
    assert sorted(told[0][1]) == ["/a/b", "/gone", "/new", "/new/c"]


def test_watches_belong_to_a_branch_and_end_with_it_or_their_handle(store, main, told):
    work = main.fork("work")
    handle = main.watch("/", told)
    work.watch("/", told)
    work.set("/a", b"")
    assert len(told) == 1
    store.delete_branch("work")
    handle.close()
    handle.close()
    main.set("/a", b"")
    assert len(told) == 1
    main.fork("work").set("/b", b"")
    assert len(told) == 1


def test_what_a_callback_raises_is_logged_and_undoes_nothing(main, told, caplog):
    def fail(commit, paths):
        raise RuntimeError("mine")

    main.watch("/a", fail)
    main.watch("/", told)
    made = main.set("/a", b"1")
    assert main.head == made
    assert told == [(made.number, ("/a",))]
    (record,) = caplog.records
    assert record.name == "rrdstore"
    assert made.id in record.getMessage()
    assert "mine" in str(record.exc_info[1])


def test_a_callback_that_writes_is_served_before_those_it_caused(main, told):
    """Everyone sees the commits in the order they were made, whoever made them."""
    calls = []

    def write(commit, paths):
        calls.append(("writer", commit.number))
        if len(calls) < 6:
            main.set("/a", b"%d" % len(calls))

    main.watch("/", write)
    main.watch("/a", lambda commit, paths: calls.append(("reader", commit.number)))
    first = main.set("/a", b"").number
    assert calls == [(who, first + n) for n in range(4) for who in ("writer", "reader")][: len(calls)]
    assert main.head.number == first + 3


def test_a_watch_closed_by_another_is_told_no_more(main, told):
    handles = []
    main.watch("/a", lambda *_: [handle.close() for handle in handles])
    handles.append(main.watch("/a", told))
    main.set("/a", b"")
    assert told == []


def test_a_watch_that_closes_itself_was_told_once(main, told):
    handle = main.watch("/a", lambda commit, paths: (told(commit, paths), handle.close()))
    main.set("/a", b"1")
    main.set("/a", b"2")
    assert len(told) == 1


def test_a_watch_set_by_a_callback_is_told_of_what_comes_after_it(main, told):
    handles = []

    def add(commit, paths):
        if not handles:
            main.set("/a", b"before it")
            handles.append(main.watch("/a", told))
            main.set("/a", b"after it")

    main.watch("/a", add)
    made = main.set("/a", b"")
    assert handles[0].start.number == made.number + 1
    assert [number for number, _ in told] == [made.number + 2]


def test_a_commit_that_is_refused_is_told_to_nobody(store, main, told):
    main.watch("/", told)
    tx = main.transaction()
    tx.get("/")
    main.set("/", b"changed")
    del told[:]
    tx.set("/a", b"")
    with pytest.raises(rrdstore.Conflict):
        tx.commit()
    with pytest.raises(rrdstore.InvalidPath):
        main.set("a", b"")
    with main.transaction() as nothing:
        nothing.get("/")
    assert told == []


@pytest.mark.parametrize(("watched", "depth", "error"), [("a", None, rrdstore.InvalidPath), ("/a", -1, ValueError)])
def test_a_watch_that_cannot_be_is_refused(main, told, watched, depth, error):
    with pytest.raises(error):
        main.watch(watched, told, depth=depth)


watches = st.lists(st.tuples(path | st.just("/"), st.none() | st.integers(0, 3)), max_size=6)


@settings(max_examples=80)
@given(watches, st.lists(st.lists(setting | removal, min_size=1, max_size=4), max_size=6))
def test_who_is_told_is_what_the_rule_says(watched, commits):
    """By the definition, each watch against each edit: no index of any kind."""
    with rrdstore.memory("last:2") as store:
        main = store.branch("main")
        told, expected = [], []
        for index, (place, depth) in enumerate(watched):
            main.watch(place, lambda commit, paths, index=index: told.append((commit.number, index, set(paths))), depth)
        for edits in commits:
            done = []
            with main.transaction() as tx:
                for kind, place, *rest in edits:
                    if kind == "set" or place in tx:
                        getattr(tx, kind)(place, *rest)
                        done.append((kind, place))
            for index, (place, depth) in enumerate(watched):
                paths = {
                    changed
                    for kind, changed in done
                    if (
                        (changed == place or place in above(changed))
                        and (depth is None or len(above(changed)) - len(above(place)) <= depth)
                    )
                    or (kind == "remove" and changed in above(place))
                }
                if paths:
                    expected.append((main.head.number, index, paths))
        key = lambda call: call[:2]  # noqa: E731 - the order among watches of one commit is not promised
        assert sorted(told, key=key) == sorted(expected, key=key)
        assert [number for number, *_ in told] == sorted(number for number, *_ in told)


@pytest.mark.parametrize("asks", [False, True], ids=["sets", "asks for history"])
def test_who_sets_is_given_his_own_commit_whatever_a_callback_does(asks):
    with rrdstore.memory("last:1") as store:
        main = store.branch("main")
        main.change([("/a", b"1", None), ("/b", b"1", None)])

        def answer(_commit, _paths):
            main.set("/b", b"2", message="answer")
            assert not asks or list(main.log())

        main.watch("/a", answer)
        main.set("/b", b"1")
        made = main.set("/a", b"2", message="mine")
        assert (made.message, made.number) == ("mine", main.head.number - 1)
