"""Three-way merge, held against a merge of dicts, path by path."""

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.tree import edit
from rrdstore.tree.digest import digest
from rrdstore.tree.merge import merge
from rrdstore.tree.node import Node
from rrdstore.tree.path import join
from tests.tree.models import EMPTY, Model, Names, assert_shaped, beneath, grown, model_of, steps, tree_of, wide

fills = st.sampled_from([0, 0, 31, 33])


def apart(base: bytes | None, ours: bytes, theirs: bytes) -> list[bytes]:
    """The values that may stand: one, or none if both sides changed it differently."""
    wishes = {side for side in (ours, theirs) if side != base}
    return list(wishes or {ours}) if len(wishes) < 2 else []


def merged(base: Model, ours: Model, theirs: Model) -> tuple[Model, set[Names]]:
    """What merging must give: the result, and the places that clash."""
    result: Model = {}
    clashes: set[Names] = set()
    whole: set[Names] = set()  # places where a side lacks the node: what is below goes with them
    for names in sorted({*base, *ours, *theirs}):
        if any(names[:depth] in whole for depth in range(len(names))):
            continue
        if names in ours and names in theirs:
            sides = (base.get(names, (None, None)), ours[names], theirs[names])
            value, meta = (apart(*(side[part] for side in sides)) for part in (0, 1))
            if value and meta:
                result[names] = (value[0], meta[0])
            else:
                clashes.add(names)
                result[names] = ours[names]
            continue
        whole.add(names)
        was, our, their = (beneath(model, names) for model in (base, ours, theirs))
        if our != was and their not in (was, our):
            clashes.add(names)
        result |= their if our == was else our
    return result, clashes


def assert_merges(base: Node, ours: Node, theirs: Node) -> None:
    was, our, their = model_of(base), model_of(ours), model_of(theirs)
    done = merge(base, ours, theirs, 77)
    result, clashes = merged(was, our, their)
    assert [clash.path for clash in done.clashes] == sorted(map(join, clashes))
    assert model_of(done.root) == result
    assert_shaped(done.root)
    for clash in done.clashes:
        names = tuple(clash.path.split("/")[1:]) if clash.path != "/" else ()
        for node, model in ((clash.base, was), (clash.ours, our), (clash.theirs, their)):
            assert (None if node is None else (node.value, node.meta)) == model.get(names)
    assert (model_of(base), model_of(ours), model_of(theirs)) == (was, our, their), "what was merged is as it was"
    assert digest(done.root) == digest(tree_of(result))


@given(fills, steps, steps, steps, st.booleans())
def test_a_merge_is_what_merging_path_by_path_gives(filled, first, mine, yours, hashed) -> None:
    base, model = grown(edit.EMPTY, EMPTY, [*wide("w", range(filled)), *first])
    ours, _ = grown(base, model, mine)
    theirs, _ = grown(base, model, yours)
    if hashed:
        digest(ours)
        digest(theirs)
    assert_merges(base, ours, theirs)


@given(fills, steps, steps, steps)
def test_trees_that_share_nothing_merge_alike(filled, first, mine, yours) -> None:
    _, model = grown(edit.EMPTY, EMPTY, [*wide("w", range(filled)), *first])
    _, ours = grown(edit.EMPTY, model, mine)
    _, theirs = grown(edit.EMPTY, model, yours)
    assert_merges(tree_of(model), tree_of(ours), tree_of(theirs, backwards=True))


@given(steps, steps, steps)
def test_any_three_trees_merge_though_nothing_was_grown_from_anything(a, b, c) -> None:
    base, ours, theirs = (grown(edit.EMPTY, EMPTY, made)[0] for made in (a, b, c))
    assert_merges(base, ours, theirs)


@given(steps, steps, steps)
def test_both_directions_clash_in_the_same_places_and_agree_elsewhere(first, mine, yours) -> None:
    base, model = grown(edit.EMPTY, EMPTY, first)
    ours, _ = grown(base, model, mine)
    theirs, _ = grown(base, model, yours)
    there, back = merge(base, ours, theirs, 9), merge(base, theirs, ours, 9)
    assert [clash.path for clash in there.clashes] == [clash.path for clash in back.clashes]
    if not there.clashes:
        assert digest(there.root) == digest(back.root)


@given(steps, steps)
def test_a_side_that_changed_nothing_gives_the_other_side_itself(first, mine) -> None:
    base, model = grown(edit.EMPTY, EMPTY, first)
    ours, _ = grown(base, model, mine)
    assert merge(base, ours, base, 9).root is ours
    assert merge(base, ours, ours, 9).root is ours
    taken = merge(base, base, ours, 9)
    assert (model_of(taken.root), taken.clashes) == (model_of(ours), ())


def side(base: Node, *made: tuple) -> Node:
    return grown(base, model_of(base), list(made))[0]


BASE = tree_of(EMPTY | {("d",): (b"", b""), ("d", "k"): (b"0", b"m")})


def test_value_and_meta_merge_apart() -> None:
    done = merge(BASE, side(BASE, ("set", ("d", "k"), b"1", None)), side(BASE, ("set", ("d", "k"), b"0", b"n")), 9)
    node = edit.find(done.root, ("d", "k"))
    assert (done.clashes, node.value, node.meta, node.modified) == ((), b"1", b"n", 9)


def test_a_clash_of_meta_alone_is_a_clash_of_the_place() -> None:
    ours = side(BASE, ("set", ("d", "k"), b"0", b"o"))
    theirs = side(BASE, ("set", ("d", "k"), b"1", b"t"))
    done = merge(BASE, ours, theirs, 9)
    assert [clash.path for clash in done.clashes] == ["/d/k"]
    assert model_of(done.root) == model_of(ours), "the value that theirs alone changed is not taken by halves"


def test_a_removal_against_a_change_below_it_is_a_clash_either_way() -> None:
    gone, changed = side(BASE, ("remove", ("d",))), side(BASE, ("set", ("d", "new"), b"", None))
    for ours, theirs in ((gone, changed), (changed, gone)):
        done = merge(BASE, ours, theirs, 9)
        assert [clash.path for clash in done.clashes] == ["/d"]
        assert model_of(done.root) == model_of(ours)


def test_a_clash_stops_nothing_else() -> None:
    ours = side(BASE, ("set", ("d", "k"), b"1", None), ("set", ("x",), b"x", None))
    theirs = side(BASE, ("set", ("d", "k"), b"2", None), ("set", ("d", "k", "below"), b"z", None))
    done = merge(BASE, ours, theirs, 9)
    (clash,) = done.clashes
    assert (clash.path, clash.base.value, clash.ours.value, clash.theirs.value) == ("/d/k", b"0", b"1", b"2")
    assert model_of(done.root) == model_of(ours) | {("d", "k", "below"): (b"z", b"")}
