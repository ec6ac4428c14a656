"""The difference of two trees, held against the difference of two dicts."""

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.tree import edit
from rrdstore.tree.diff import Change, diff, equal
from rrdstore.tree.digest import digest
from rrdstore.tree.node import Node
from rrdstore.tree.path import join
from tests.tree.models import EMPTY, Model, grown, steps, tree_of, wide


def differences(a: Model, b: Model) -> list[tuple]:
    return [(join(names), a.get(names), b.get(names)) for names in sorted({*a, *b}) if a.get(names) != b.get(names)]


def seen(node: Node | None) -> tuple[bytes, bytes] | None:
    return None if node is None else (node.value, node.meta)


def changes(a: Node, b: Node) -> list[tuple]:
    return [(change.path, seen(change.old), seen(change.new)) for change in diff(a, b)]


@given(st.sampled_from([0, 31, 33, 90]), steps, steps, st.booleans())
def test_a_diff_names_every_place_that_differs_and_no_other(filled, first, second, hashed) -> None:
    a, before = grown(edit.EMPTY, EMPTY, [*wide("w", range(filled)), *first])
    b, after = grown(a, before, second)
    if hashed:
        digest(a)
        digest(b)
    assert changes(a, b) == differences(before, after)
    assert changes(b, a) == differences(after, before)
    assert equal(a, b) == (before == after)


@given(st.sampled_from([0, 33]), steps, steps, st.booleans())
def test_trees_that_share_nothing_differ_in_the_same_places(filled, first, second, hashed) -> None:
    _, before = grown(edit.EMPTY, EMPTY, [*wide("w", range(filled)), *first])
    _, after = grown(edit.EMPTY, before, second)
    a, b = tree_of(before), tree_of(after, backwards=True)
    if hashed:
        digest(a)
        digest(b)
    assert changes(a, b) == differences(before, after)
    assert equal(a, b) == (before == after)


@given(steps)
def test_against_nothing_everything_differs(made) -> None:
    root, model = grown(edit.EMPTY, EMPTY, made)
    assert [(c.path, c.old, seen(c.new)) for c in diff(None, root)] == [
        (join(names), None, model[names]) for names in sorted(model)
    ]
    assert [(c.path, seen(c.old), c.new) for c in diff(root, None)] == [
        (join(names), model[names], None) for names in sorted(model)
    ]
    assert list(diff(None, None)) == []
    assert not equal(None, root)
    assert equal(None, None)


def test_a_change_says_what_kind_it_is() -> None:
    node = edit.EMPTY
    assert [Change("/", *sides).kind for sides in ((None, node), (node, None), (node, node))] == [
        "added",
        "removed",
        "changed",
    ]


def test_setting_what_was_there_already_is_no_change() -> None:
    root, _ = grown(edit.EMPTY, EMPTY, wide("w", range(40)))
    again = edit.put(root, ("w", "n7"), b"w", b"", 99, edit.new_edit())
    assert again is not root
    assert list(diff(root, again)) == []


def test_what_is_shared_is_not_looked_into() -> None:
    root, _ = grown(edit.EMPTY, EMPTY, [*wide("w", range(1000)), *wide("v", range(1000))])
    other = edit.put(root, ("w", "n7"), b"new", None, 2, edit.new_edit())
    looked: list[Node] = []

    class Watched(dict):  # type: ignore[type-arg]  # a test's
        def items(self):
            looked.extend(self.values())
            return super().items()

    for tree in (root, other):
        stack = [tree.kids]
        while stack:
            kids = stack.pop()
            if hasattr(kids, "slots"):
                stack.extend(slot for slot in kids.slots if slot is not None)
            else:
                stack.extend(node.kids for node in kids.names.values() if node.kids is not None)
                if not isinstance(kids.names, Watched):
                    kids.names = Watched(kids.names)
    assert [change.path for change in diff(root, other)] == ["/w/n7"]
    assert 0 < len(looked) <= 2 * (32 + 32), "one bucket at the root and one of the wide set, on both sides"
