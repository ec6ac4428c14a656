"""What nobody wants any more goes in pieces, and nothing else does."""

from __future__ import annotations

import gc
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdstore.tree.edit import EMPTY, new_edit, put, remove
from rrdstore.tree.node import Stub
from rrdstore.tree.path import split
from rrdstore.tree.remains import Remains, in_memory
from rrdstore.tree.tree import Tree

STEP = 100
MOST = 250
"""Blocks of memory that such a step frees at most: a leaf of these trees is one, what has children some four."""


VALUE = b"".join([b"the value", b" of every leaf"])


@pytest.fixture(autouse=True)
def no_collector():
    """What the cyclic collector frees of others is not counted."""
    gc.disable()
    yield
    gc.enable()


def leaves():
    """How many leaves there are."""
    return sys.getrefcount(VALUE)


def content(root):
    return [(path, node.value.decode()) for path, node in Tree(root).descend()]


def grown(root, paths, value=VALUE):
    mark = new_edit()
    for path in paths:
        root = put(root, split(path), value, None, 1, mark)
    return root


def host(domains=200):
    return grown(
        EMPTY, [f"/d{domain}/{device}/key{key}" for domain in range(domains) for device in "ab" for key in range(9)]
    )


def taken_apart(remains):
    """To the end; the blocks that each step freed."""
    freed, done = [], False
    while not done:
        before = sys.getallocatedblocks()
        done = remains.take_apart(STEP)
        freed.append(before - sys.getallocatedblocks())
    return freed


def test_a_tree_goes_in_many_steps_of_bounded_size_and_nothing_is_left():
    before, remains = leaves(), Remains()
    trees = [host()]
    assert leaves() > before + 3_000
    remains.leave(trees)
    assert trees == []
    freed = taken_apart(remains)
    assert len(freed) > 30
    assert max(freed) < MOST
    assert sum(freed) > 5_000
    assert leaves() == before


def test_what_somebody_else_holds_stays_whole_and_goes_with_the_last():
    before, remains = leaves(), Remains()
    old = host()
    was = content(old)
    new = remove(grown(old, ["/d7/a/key3"], b"new"), split("/d9"), new_edit())
    trees = [new]
    del new
    remains.leave(trees)
    freed = taken_apart(remains)
    assert len(freed) <= 3, "what the two share is not looked into"
    assert sum(freed) < MOST
    assert content(old) == was
    part = in_memory(old, split("/d50"))
    trees = [old]
    del old
    remains.leave(trees)
    taken_apart(remains)
    assert part.children == 2, "held by nobody but us"
    assert sorted(part.kids.names["b"].kids.names) == [f"key{key}" for key in range(9)]
    del part
    assert leaves() == before


def test_a_list_of_what_others_hold_is_nothing_to_do():
    remains, root = Remains(), host(3)
    remains.leave([root, root])
    assert not remains.parts
    assert remains.take_apart(1)
    assert root.children == 3


paths = st.lists(
    st.lists(st.sampled_from([*"abc", *map(str, range(40))]), min_size=1, max_size=4), min_size=1, max_size=60
)


@settings(max_examples=25, deadline=None)
@given(st.lists(paths, min_size=1, max_size=6), st.data())
def test_of_any_trees_that_share_those_that_are_kept_stay(steps, data):
    remains, roots, contents, root = Remains(), [], [], EMPTY
    before = leaves()
    for step in steps:
        root = grown(root, ["/" + "/".join(names) for names in step])
        if root.children > 1 and data.draw(st.booleans()):
            root = remove(root, (data.draw(st.sampled_from(sorted(Tree(root).list("/")))),), new_edit())
        roots.append(root)
        contents.append(content(root))
    del root
    order = data.draw(st.permutations(range(len(roots))))
    for at in order:
        trees, roots[at] = [roots[at]], None
        remains.leave(trees)
        while not remains.take_apart(data.draw(st.integers(1, 30))):
            pass
        assert all(kept is None or content(kept) == was for kept, was in zip(roots, contents, strict=True))
    assert leaves() == before


def test_where_a_place_is_in_memory_and_where_it_is_not():
    class Nowhere:
        keeps = True

        def load(self, number):
            raise AssertionError("nothing is loaded")

    root = host(40)
    assert in_memory(root, ()) is root
    assert in_memory(root, split("/d3/a/key1")).value is VALUE
    assert in_memory(root, split("/d3/a/key1/below")) is None
    assert in_memory(root, split("/nobody")) is None
    in_memory(root, split("/d3")).kids.names["a"] = Stub(5, Nowhere())
    assert in_memory(root, split("/d3/a")) is None
    assert in_memory(root, split("/d3/a/key1")) is None
