"""The weight a bucket carries along through changes is what its names and small leaves weigh, counted anew."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from rrdstore.tree import edit
from rrdstore.tree.node import SMALL, Bucket, Node, Wide, weight

FEW = st.sampled_from(["n0", "ä", "長い"])
"""So few that leaves become directories, and directories leaves again."""
NAMES = FEW | st.sampled_from([f"n{number}" for number in range(40)])
VALUES = st.sampled_from([b"", b"v", b"v" * SMALL, b"v" * (SMALL + 1)])
STEPS = st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=2), st.none() | VALUES, st.booleans()), max_size=80)


def buckets(root: Node):
    stack = [root.kids]
    while stack:
        kids = stack.pop()
        if isinstance(kids, Wide):
            stack += kids.slots
        elif isinstance(kids, Bucket):
            yield kids
            stack += [node.kids for node in kids.names.values()]


@given(STEPS)
@example([(["n0"], b"v", False), (["n0", "n1"], b"", False), (["n0", "n1"], None, True), (["n0"], b"vv", True)])
def test_it_is_carried_along(steps):
    root, mark = edit.EMPTY, edit.new_edit()
    for names, value, ends in steps:
        if value is not None:
            root = edit.put(root, tuple(names), value, b"m", 1, mark)
        elif edit.find(root, tuple(names)) is not None:
            root = edit.remove(root, tuple(names), mark)
        for bucket in buckets(root):
            carried = weight(bucket)
            assert carried == weight(Bucket(dict(bucket.names), 0)), "what is carried is what is counted"
        if ends:
            mark = edit.new_edit()
