"""Many places at once are what as many single edits make: nodes, shapes, digests; what was there stays."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rrdstore.errors import Exists, InvalidPath
from rrdstore.tree import bulk, edit
from rrdstore.tree.digest import digest
from rrdstore.tree.node import SMALL, Bucket, entries, new_node, weight
from rrdstore.tree.path import join
from tests.tree.models import EMPTY, assert_shaped, grown, model_of, places, steps, wide
from tests.tree.test_weight import buckets

VALUES = st.sampled_from([b"", b"v", b"22", b"v" * (SMALL + 1)])
NEW = st.lists(st.tuples(places, VALUES, st.sampled_from([b"", b"m"])), min_size=1, max_size=60)
OTHERS = [(("w", f"n{number}"), b"v", b"") for number in range(60)]


def at_once(root, new):
    edited = [(join(names), new_node(value, meta, 9, 9)) for names, value, meta in new]
    bulk.check(root, [path for path, _ in edited])
    return bulk.planted(root, edited, 9, edit.new_edit())


def one_by_one(root, new):
    mark = edit.new_edit()
    for names, value, meta in new:
        root = edit.put(root, names, value, meta, 9, mark)
    return root


def stamps(root):
    found, left = {}, [((), root)]
    while left:
        names, node = left.pop()
        found[names] = node.created, node.modified
        left += [((*names, name), edit.find(root, (*names, name))) for name in entries(node.kids)]
    return found


@given(steps, st.integers(0, 90), NEW, st.integers(0, 1).map(bool), st.randoms())
@example([], 40, OTHERS, True, None)
@example([], 0, OTHERS, True, None)
@example([], 3, [*OTHERS, (("w",), b"v" * 500, b"m")], False, None)
def test_they_are_what_single_edits_make(made, there, new, ordered, random):
    root, model = grown(edit.EMPTY, EMPTY, [*wide("w", range(there)), *made])
    new = list({names: (names, value, meta) for names, value, meta in new if names and names not in model}.values())
    if ordered:
        new.sort(key=lambda place: place[0])
    elif random is not None:
        random.shuffle(new)
    for bucket in buckets(root):
        weight(bucket)
    proof = digest(root)
    after, expected = at_once(root, new), one_by_one(root, new)
    assert model_of(after) == model_of(expected)
    assert stamps(after) == stamps(expected)
    assert_shaped(after)
    for bucket in buckets(after):
        assert bucket.weighed in {-1, weight(Bucket(dict(bucket.names), 0))}
    assert digest(after) == digest(expected)
    assert model_of(root) == model
    assert digest(root) == proof


def test_a_place_that_is_there_or_comes_twice_is_refused():
    root = one_by_one(edit.EMPTY, [(("a", "b"), b"", b"")])
    for paths, named in (
        (["/c", "/a/b"], "/a/b"),
        (["/a"], "/a"),
        (["/"], "/"),
        (["/c", "/c/d", "/c"], "/c"),
        (["/c/é", "/d", "/c/é"], "/c/é"),
    ):
        with pytest.raises(Exists) as caught:
            bulk.check(root, paths)
        assert caught.value.name == named
    bulk.check(root, ["/a/c", "/c", "/c/é"])


@pytest.mark.parametrize("path", ["", "a", "/a/", "//", "/b//c", "/b\0", "/\ud800"], ids=ascii)
def test_no_path_is_refused(path):
    with pytest.raises(InvalidPath):
        bulk.check(edit.EMPTY, ["/b", path])
