"""Patches against three-way merges from the same old tree: never applied where those conflict, and never less."""

from hypothesis import given, settings

from rrdstore.tree import edit, patch
from rrdstore.tree.diff import equal
from rrdstore.tree.merge import merge
from rrdstore.tree.node import Node
from tests.tree.models import EMPTY, grown, model_of, steps


def tree(*places: tuple[str, bytes]) -> Node:
    root, mark = edit.EMPTY, edit.new_edit()
    for path, value in places:
        root = edit.put(root, tuple(path.split("/")), value, b"", 1, mark)
    return root


def clashes(old: Node, new: Node, ours: Node) -> list[str]:
    return [clash.path for clash in patch.applied(patch.made(old, new), ours, 2).clashes]


@settings(max_examples=200, deadline=None)
@given(steps, steps, steps)
def test_a_patch_is_refused_where_a_merge_conflicts_and_else_gives_the_same(first, second, third):
    base, model = grown(edit.EMPTY, EMPTY, first)
    (ours, _), (theirs, _) = grown(base, model, second), grown(base, model, third)
    whole, done = merge(base, ours, theirs, 9), patch.applied(patch.made(base, theirs), ours, 9)
    assert bool(done.clashes) == bool(whole.clashes)
    if not whole.clashes:
        assert equal(done.root, whole.root)


@settings(max_examples=50, deadline=None)
@given(steps, steps)
def test_a_patch_makes_the_new_tree_of_the_old_one_and_twice_is_once(first, second):
    old, model = grown(edit.EMPTY, EMPTY, first)
    new, after = grown(old, model, second)
    made = patch.made(old, new)
    done = patch.applied(made, old, 9)
    assert not done.clashes
    assert model_of(done.root) == after
    assert equal(patch.applied(made, done.root, 10).root, new)


def test_each_precondition_by_an_example():
    old = tree(("d/a", b"1"), ("k", b"1"))
    removed, changed = tree(("k", b"1")), tree(("d/a", b"2"), ("k", b"1"))
    assert clashes(old, changed, tree(("d/a", b"3"), ("k", b"1"))) == ["/d/a"], "an old value"
    assert clashes(old, removed, tree(("d/a", b"1"), ("d/b", b"1"), ("k", b"1"))) == ["/d"], "a name that was not there"
    assert clashes(old, removed, tree(("d/a", b"3"), ("k", b"1"))) == ["/d"], "an old value below"
    assert clashes(old, tree(("d/a", b"1"), ("d/n", b"1"), ("k", b"1")), removed) == ["/d/n"], "a parent that is gone"
    both = tree(("d/a", b"1"), ("d/b", b"1"), ("k", b"1"))
    assert clashes(both, old, removed) == ["/d/b"], "a removal inside of what was removed"
    assert clashes(old, removed, removed) == []
    assert clashes(old, changed, changed) == []


def test_a_revert_is_what_a_patch_cannot_see():
    """The reason why no merge becomes a patch by itself: rule 7 of docs/semantics.md."""
    old, new = tree(("k", b"o")), tree(("k", b"x"))
    assert not merge(new, old, new, 2).clashes
    assert equal(merge(new, old, new, 2).root, old)
    assert equal(patch.applied(patch.made(old, new), old, 2).root, new)
