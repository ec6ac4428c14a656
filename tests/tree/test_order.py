"""Names sorted once and carried along by notes are the names sorted anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.errors import NotFound
from rrdstore.tree import edit
from rrdstore.tree.node import name_hash
from rrdstore.tree.order import NOTES, Late, noted, settled
from rrdstore.tree.tree import Tree
from tests.tree.models import hash_by_definition

names = st.integers(0, 60).map("n{}".format)


@given(st.sets(names), st.lists(names | st.none(), max_size=4 * NOTES))
def test_notes_worked_in_at_any_time_give_the_sorted_names(start, toggled) -> None:
    present = set(start)
    order = tuple(sorted(present))
    seen = []
    for name in toggled:
        if name is None:
            order = settled(order)
        else:
            present ^= {name}
            order = noted(order, name, there=name in present)
            assert isinstance(order, Late)
            assert len(order.notes) <= NOTES
        seen.append((order, tuple(sorted(present))))
    assert all(settled(then) == expected for then, expected in seen)


@given(names, st.booleans())
def test_an_order_nobody_asked_for_is_not_made(name, there) -> None:
    assert noted(None, name, there=there) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 99)), max_size=80), st.lists(st.booleans(), min_size=80))
def test_every_version_lists_its_own_names(toggles, listed) -> None:
    root = edit.EMPTY
    present = {f"n{index}" for index in range(40)}
    for name in present:
        root = edit.put(root, ("w", name), b"", None, 1, edit.new_edit())
    versions = []
    for (again, index), asked in zip(toggles, listed, strict=False):
        name = f"n{index}"
        if name in present and not again:
            present.remove(name)
            root = edit.remove(root, ("w", name), edit.new_edit())
        else:
            present.add(name)
            root = edit.put(root, ("w", name), b"", None, 1, edit.new_edit())
        before, notes = Tree(root).order("/w")
        assert settled(Late(before, notes)) == tuple(sorted(present))
        if asked:
            assert Tree(root).list("/w") == tuple(sorted(present))
            assert Tree(root).order("/w") == (tuple(sorted(present)), ())
        versions.append((Tree(root), tuple(sorted(present))))
    for tree, expected in reversed(versions):
        assert tree.list("/w") == expected


def test_an_order_is_the_same_names_and_notes_while_little_changes() -> None:
    root, mark = edit.EMPTY, edit.new_edit()
    for number in range(100):
        root = edit.put(root, ("w", f"n{number}"), b"", None, 1, mark)
    names, notes = Tree(root).order("/w")
    assert (len(names), notes) == (100, ())
    root = edit.remove(edit.put(root, ("w", "m"), b"", None, 2, edit.new_edit()), ("w", "n7"), edit.new_edit())
    assert Tree(root).order("/w") == (names, (("m", True), ("n7", False)))
    assert Tree(root).order("/w")[0] is names
    assert Tree(root).order("/w/m") == ((), ())
    with pytest.raises(NotFound):
        Tree(root).order("/w/n7")


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.integers(100, 300).map("long".__mul__))
def test_the_hash_of_a_name_is_fixed_for_ever(name) -> None:
    assert name_hash(name) == hash_by_definition(name) == name_hash(name)
