"""`Branch.plant`: as if places had been set one by one, in as many commits as the store takes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore.store import planting
from rrdstore.store.costs import tree_cost
from rrdstore.testing.homes import FileHome, SmallFileHome

HOST = [
    place
    for domid in range(150)
    for place in (
        (f"/local/domain/{domid}", b"", b"n%d" % domid),
        *((f"/local/domain/{domid}/{name}", name.encode() * 3, b"n%d" % domid) for name in "abcdefgh"),
    )
]


def content(tree):
    return {path: (node.value, node.meta) for path, node in tree.descend()}


def test_it_is_what_as_many_sets_make(home):
    with home.create("last:40") as store, rrdstore.memory() as other:
        main = store.branch("main")
        main.set("/local/domain/7000", b"was", meta=b"there")
        mark = store.branch("main").tree
        commit = main.plant(HOST, message="all", author="me")
        assert (commit.message, commit.author, commit.number) == ("all", "me", main.head.number)
        other.branch("main").change([("/local/domain/7000", b"was", b"there"), *HOST])
        assert main.tree == other.branch("main").tree
        assert main.tree.digest() == other.branch("main").tree.digest()
        assert content(mark) == {"/": (b"", b""), "/local": (b"", b""), "/local/domain": (b"", b""),
                                 "/local/domain/7000": (b"was", b"there")}  # fmt: skip
        main.set("/local/domain/3/a", b"later")
        expected = content(main.tree)
    if home.reopens:
        with home.open() as store:
            assert content(store.branch("main").tree) == expected
            assert store.check() == []


def test_a_crash_leaves_all_of_it(lasting):
    with lasting.create("last:40") as store:
        main = store.branch("main")
        main.plant(HOST)
        main.set("/after", b"it")
        expected = content(main.tree)
        image = lasting.image()
    with image.open() as store:
        assert content(store.branch("main").tree) == expected
    image.end()


def test_what_one_commit_cannot_take_comes_in_several(monkeypatch):
    monkeypatch.setattr(planting, "FEW", 10)
    home = SmallFileHome()
    with home.create("last:60") as store:
        main, many = store.branch("main"), [(path, value * 20, meta) for path, value, meta in HOST]
        before = main.head.number
        with pytest.raises(rrdstore.TooLarge):
            main.change(many)
        assert main.head.number == before
        main.plant(many)
        assert main.head.number > before + 1
        assert {path: (value, meta) for path, value, meta in many}.items() <= content(main.tree).items()
        assert store.info().unstored == 0
        with pytest.raises(rrdstore.StoreFull):
            main.plant([(f"/more{path}", value * 30, meta) for path, value, meta in many])
        main.set("/goes", b"on")
        expected = content(main.tree)
    with home.open() as store:
        assert content(store.branch("main").tree) == expected
        assert store.check() == []
    home.end()


@settings(max_examples=15)
@given(st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=90, unique=True), min_size=1, max_size=3), st.data())
def test_storing_it_takes_no_more_than_it_costs(pieces, data):
    home, seen = FileHome(), set()
    with pytest.MonkeyPatch.context() as patched, home.create("last:60") as store:
        patched.setattr(planting, "FEW", 0)
        main = store.branch("main")
        for piece in pieces:
            new = [number for number in piece if number not in seen]
            seen.update(new)
            if not new:
                continue
            below, size = data.draw(st.booleans()), data.draw(st.sampled_from([0, 9, 200, 5000]))
            before, live = main.tree.root, store.info().live
            main.plant([(f"/d/n{number}{'/x' * below}", bytes(size), b"m") for number in new])
            assert store.info().unstored == 0
            assert store.info().live - live <= tree_cost(main.tree.root, before)
    home.end()


def test_what_was_there_before_is_not_paid_for_again_when_a_set_becomes_wide():
    home = FileHome()
    with home.create("last:60") as store:
        main = store.branch("main")
        main.plant([(f"/d/0/{number}/x", b"v" * 100, b"") for number in range(2000)])
        main.plant([(f"/d/{number}", b"v", b"") for number in range(1, 32)])
        before = main.tree.root
        main.plant([(f"/d/{number}", b"v", b"") for number in range(32, 40)])
        assert tree_cost(main.tree.root, before) < 20_000
    home.end()


def test_what_is_refused_changes_nothing(main):
    main.plant([("/a", b"1", b"m")])
    before = main.tree
    number = main.head.number
    for places, fault in (
        ([("/b", b"", b""), ("/a", b"2", b"")], rrdstore.Exists),
        ([("/b", b"", b""), ("/b", b"2", b"")], rrdstore.Exists),
        ([("/b", b"", b""), ("c", b"2", b"")], rrdstore.InvalidPath),
        ([("/b", b"", b""), ("/c", None, b"")], TypeError),
        ([("/b", b"", b""), ("/c", b"", None)], TypeError),
        ([], ValueError),
    ):
        with pytest.raises(fault):
            main.plant(places)
        assert main.head.number == number
        assert main.tree == before


def test_watches_are_told(main):
    told = []
    main.watch("/local/domain/3", lambda commit, paths: told.append(paths))
    told.clear()
    main.plant(HOST)
    assert {path for paths in told for path in paths} == {path for path, _, _ in HOST if "/3/" in f"{path}/"}


def test_nothing_is_planted_in_a_store_that_is_closed_or_only_read(lasting):
    with lasting.create("last:40") as store:
        main = store.branch("main")
    with pytest.raises(rrdstore.Closed):
        main.plant(HOST)
    with lasting.open(readonly=True) as store, pytest.raises(rrdstore.ReadOnly):
        store.branch("main").plant(HOST)
