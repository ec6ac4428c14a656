"""Sets of names that lie within others become wide and narrow again: what differs beside them is found all the same.

Eleven hundred names are 32 sets of about 34: by one name more or less such a set is 32 sets of its own, or a bucket.
"""

import pytest

from rrdstore.interchange import delta as steps
from rrdstore.storage import delta as net
from rrdstore.tree import edit
from rrdstore.tree.diff import diff
from rrdstore.tree.merge import merge
from rrdstore.tree.node import Bucket, Node, Wide, entries

NAMES = [f"n{number}" for number in range(1100)]


def shrunk():
    """Two trees each, of which the second has a name less, and that name; in some a set within becomes narrow."""
    mark = edit.new_edit()
    root = edit.EMPTY
    for number, name in enumerate(NAMES):
        root = edit.put(root, ("d", name), b"%d" % number, b"", 1, mark)
    for name in NAMES[:400]:
        smaller = edit.remove(root, ("d", name), edit.new_edit())
        yield root, smaller, name
        root = smaller


PAIRS = list(shrunk())


def narrowed(before: Node, after: Node) -> bool:
    pairs = zip(edit.find(before, ("d",)).kids.slots, edit.find(after, ("d",)).kids.slots, strict=True)
    return any(one.__class__ is Wide and other.__class__ is Bucket for one, other in pairs)


def content(root: Node) -> dict[str, bytes]:
    kids = edit.find(root, ("d",)).kids
    return {name: node.value for name, node in entries(kids).items()}


def test_some_of_them_become_narrow():
    assert sum(narrowed(before, after) for before, after, _ in PAIRS) > 5


@pytest.mark.parametrize("grows", [False, True], ids=["less", "more"])
def test_a_name_more_or_less_is_one_change(grows):
    for larger, smaller, name in PAIRS:
        before, after = (smaller, larger) if grows else (larger, smaller)
        (change,) = diff(before, after)
        assert (change.path, change.old is None, change.new is None) == (f"/d/{name}", grows, not grows)


@pytest.mark.parametrize("grows", [False, True], ids=["less", "more"])
def test_what_the_other_side_did_is_merged(grows):
    for larger, smaller, name in PAIRS:
        base, theirs = (smaller, larger) if grows else (larger, smaller)
        ours = edit.put(base, ("other",), b"ours", b"", 2, edit.new_edit())
        done = merge(base, ours, theirs, 3)
        assert not done.clashes
        assert content(done.root) == content(theirs), name
        assert edit.find(done.root, ("other",)) is not None


def test_a_net_and_steps_lead_from_one_to_the_other():
    for larger, smaller, name in PAIRS:
        for before, after in ((larger, smaller), (smaller, larger)):
            assert content(net.decode(net.encode(after, before), before)) == content(after), name
            assert content(steps.applied(before, steps.delta(before, after))) == content(after), name
