"""Trees that are loaded part by part: the same results, and what is shared stays where it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.errors import Corrupt
from rrdstore.tree import edit
from rrdstore.tree.diff import diff
from rrdstore.tree.digest import digest
from rrdstore.tree.merge import merge
from rrdstore.tree.tree import Tree
from tests.tree.models import EMPTY, Shelf, assert_shaped, grown, model_of, places, steps, wide
from tests.tree.test_diff import changes, differences
from tests.tree.test_merge import merged

fills = st.sampled_from([0, 20, 33, 90])


@given(fills, steps, steps, places)
def test_a_tree_loaded_as_needed_is_the_tree_itself(filled, first, second, names) -> None:
    warm, model = grown(edit.EMPTY, EMPTY, [*wide("w", range(filled)), *first])
    shelf = Shelf()
    assert model_of(shelf.shelved(warm)) == model
    assert [path for path, _ in Tree(shelf.shelved(warm)).descend()] == [path for path, _ in Tree(warm).descend()]
    outlines = [[one[:2] for one in Tree(root).outline()] for root in (shelf.shelved(warm), warm)]
    assert outlines[0] == outlines[1]
    assert digest(shelf.shelved(warm)) == digest(warm)
    cold, expected = grown(shelf.shelved(warm), model, second)
    assert model_of(cold) == expected
    assert_shaped(cold)
    found = edit.find(cold, names)
    assert (None if found is None else (found.value, found.meta)) == expected.get(names)
    assert model_of(shelf.shelved(warm)) == model, "what is stored is as it was"


@given(fills, places)
def test_a_look_up_loads_what_is_on_its_way_and_only_once(filled, names) -> None:
    warm, _ = grown(
        edit.EMPTY, EMPTY, [*wide("w", range(filled)), *wide("v", range(filled)), ("set", names, b"", None)]
    )
    shelf = Shelf()
    cold = shelf.shelved(warm)
    assert edit.find(cold, names) is edit.find(cold, names)
    levels_of_wide = 12
    assert len(shelf.loads) == len(set(shelf.loads)) <= len(names) * (1 + levels_of_wide)
    shelf.loads.clear()
    edit.find(cold, names)
    assert shelf.loads == []


@given(fills, steps, steps, steps)
def test_a_diff_loads_nothing_that_both_trees_share(filled, first, mine, yours) -> None:
    warm, model = grown(edit.EMPTY, EMPTY, [*wide("w", range(filled)), *first])
    shelf = Shelf()
    a, before = grown(shelf.shelved(warm), model, mine)
    b, after = grown(shelf.shelved(warm), model, yours)
    shared = shelf.reach(a) & shelf.reach(b)
    shelf.loads.clear()
    assert changes(a, b) == differences(before, after)
    assert not shared & set(shelf.loads)
    shelf.loads.clear()
    list(diff(a, b))
    assert shelf.loads == [], "what was loaded for the first is there for the second"


@given(fills, steps, steps, steps)
def test_a_merge_loads_nothing_that_all_trees_share(filled, first, mine, yours) -> None:
    warm, model = grown(edit.EMPTY, EMPTY, [*wide("w", range(filled)), *first])
    shelf = Shelf()
    base = shelf.shelved(warm)
    ours, our = grown(shelf.shelved(warm), model, mine)
    theirs, their = grown(shelf.shelved(warm), model, yours)
    shared = shelf.reach(base) & shelf.reach(ours) & shelf.reach(theirs)
    shelf.loads.clear()
    done = merge(base, ours, theirs, 9)
    loaded = set(shelf.loads)
    result, clashes = merged(model, our, their)
    assert model_of(done.root) == result
    assert len(done.clashes) == len(clashes)
    if filled != 33:  # a set that shrinks to a bucket, if only between two changes, has to be loaded for that
        assert not shared & loaded
    assert_shaped(done.root)


def test_a_part_that_cannot_be_loaded_stops_a_change_before_it_has_done_anything() -> None:
    warm, model = grown(edit.EMPTY, EMPTY, wide("w", range(33)))
    shelf = Shelf()
    cold = shelf.shelved(warm)
    bad = shelf.store(edit.find(warm, ("w",)))

    class Broken(Shelf):
        def load(self, number):
            if number == bad:
                raise Corrupt(f"object {number}", "nothing", "a node")
            return super().load(number)

    shelf.__class__ = Broken
    for change in (
        lambda: edit.put(cold, ("w", "new"), b"", None, 1, edit.new_edit()),
        lambda: edit.remove(cold, ("w", "n1"), edit.new_edit()),
        lambda: Tree(cold).digest(),
        lambda: list(diff(cold, edit.EMPTY)),
    ):
        with pytest.raises(Corrupt):
            change()
    shelf.__class__ = Shelf
    assert model_of(cold) == model
    assert digest(cold) == digest(warm)
