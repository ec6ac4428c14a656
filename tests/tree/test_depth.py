"""The deepest path there may be, in every operation: nothing recurses over depth."""

import sys

import pytest

from rrdstore.tree import edit
from rrdstore.tree.diff import diff, equal
from rrdstore.tree.digest import digest
from rrdstore.tree.merge import merge
from rrdstore.tree.path import join
from rrdstore.tree.tree import Tree
from tests.tree.models import Shelf

LEVELS = 1536
DEEP = ("x",) * LEVELS
assert sys.getrecursionlimit() < LEVELS * 2


@pytest.fixture
def deep():
    return edit.put(edit.EMPTY, DEEP, b"deep", b"m", 1, edit.new_edit())


def test_reading(deep) -> None:
    tree, path = Tree(deep), join(DEEP)
    assert tree.get(path).value == b"deep"
    assert tree.list(path) == ()
    assert path in tree
    assert path + "/y" not in tree
    assert sum(1 for _ in tree.walk(path)) == LEVELS + 1
    assert sum(1 for _ in tree.descend()) == LEVELS + 1
    assert [level for level, _, _ in tree.outline()] == list(range(1, LEVELS + 1))
    assert Tree(edit.put(edit.EMPTY, DEEP, b"deep", b"m", 7, edit.new_edit())) == tree


@pytest.mark.parametrize("one_edit", [True, False])
def test_changing(deep, one_edit) -> None:
    marks = [edit.new_edit()] * 4 if one_edit else [edit.new_edit() for _ in range(4)]
    proof = digest(deep)
    root = edit.put(deep, DEEP, b"new", None, 2, marks[0])
    root = edit.put(root, (*DEEP, "y"), b"below", None, 3, marks[1])
    proof_of_new = digest(root)
    root = edit.graft(root, (*DEEP, "z"), deep, 4, marks[2])
    assert edit.find(root, (*DEEP, "z", *DEEP)).value == b"deep"
    root = edit.remove(root, (*DEEP, "z"), marks[3])
    assert digest(root) == proof_of_new != proof
    root = edit.remove(root, DEEP[:1], edit.new_edit())
    assert root.children == 0
    assert digest(deep) == proof
    assert edit.find(deep, DEEP).value == b"deep"


def test_comparing(deep) -> None:
    changed = edit.put(deep, DEEP, b"new", None, 2, edit.new_edit())
    alike = edit.put(edit.EMPTY, DEEP, b"deep", b"m", 2, edit.new_edit())
    assert [change.path for change in diff(deep, changed)] == [join(DEEP)]
    assert equal(deep, alike)
    assert sum(1 for _ in diff(edit.EMPTY, deep)) == LEVELS
    digest(deep), digest(alike)
    assert equal(deep, alike)


def test_merging(deep) -> None:
    ours = edit.put(deep, (*DEEP, "o"), b"o", None, 2, edit.new_edit())
    theirs = deep
    mark = edit.new_edit()
    for depth in range(1, LEVELS + 1, 10):
        theirs = edit.put(theirs, DEEP[:depth], b"t", None, 3, mark)
    done = merge(deep, ours, theirs, 4)
    assert done.clashes == ()
    assert edit.find(done.root, (*DEEP, "o")).value == b"o"
    assert edit.find(done.root, DEEP[:11]).value == b"t"
    against = merge(deep, ours, edit.put(deep, (*DEEP, "o"), b"x", None, 3, edit.new_edit()), 4)
    assert [clash.path for clash in against.clashes] == [join((*DEEP, "o"))]
    gone = merge(deep, ours, edit.remove(deep, ("x",), edit.new_edit()), 4)
    assert [clash.path for clash in gone.clashes] == ["/x"]


def test_loading(deep) -> None:
    shelf = Shelf()
    cold = shelf.shelved(deep)
    assert edit.find(cold, DEEP).value == b"deep"
    assert digest(shelf.shelved(deep)) == digest(deep)
    changed = edit.put(shelf.shelved(deep), DEEP, b"new", None, 2, edit.new_edit())
    assert [change.path for change in diff(shelf.shelved(deep), changed)] == [join(DEEP)]
