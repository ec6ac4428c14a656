"""Steps from nothing are made from the leaves up; what comes of it is what comes of each by itself."""

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.interchange.delta import applied, delta
from rrdstore.tree.edit import EMPTY
from rrdstore.tree.node import Inode, Node

names = st.lists(st.sampled_from(["a", "b", "c", *(f"n{at}" for at in range(40))]), max_size=4).map(tuple)
nodes = st.builds(Node, st.sampled_from([b"", b"v", b"v" * 200]), st.sampled_from([b"", b"m"]), st.just(1), st.just(2))
steps = st.lists(st.tuples(names, nodes), max_size=60)


def all_of(root):
    return [(path, node.value, node.meta, node.created, node.modified) for path, node in delta(None, root)]


@given(steps)
def test_all_at_once_is_one_after_the_other(made):
    root = EMPTY
    for step in made:
        root = applied(root, [step])
    together = applied(EMPTY, made)
    assert all_of(together) == all_of(root)
    assert isinstance(together, Inode)


@given(steps.filter(bool))
def test_a_removal_among_them_removes(made):
    root = applied(EMPTY, [(("a",), Node(b"", b"", 1, 1)), *[step for step in made if step[0][:1] != ("a",)]])
    gone = applied(EMPTY, [(("a",), Node(b"", b"", 1, 1)), *[s for s in made if s[0][:1] != ("a",)], (("a",), None)])
    assert all_of(gone) == [row for row in all_of(root) if row[0][:1] != ("a",)]
