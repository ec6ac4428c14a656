"""A digest proves content, and nothing but content."""

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.tree import edit
from rrdstore.tree.digest import SIZE, digest
from rrdstore.tree.tree import Tree
from tests.tree.models import (
    EMPTY,
    contents,
    grown,
    places,
    shape,
    step_model,
    step_root,
    steps,
    tree_of,
    wide,
)


@given(steps, st.booleans())
def test_the_order_in_which_a_tree_was_made_leaves_no_trace(made, filled) -> None:
    root, model = grown(edit.EMPTY, EMPTY, [*(wide("w", range(90)) if filled else []), *made])
    forwards, backwards = tree_of(model), tree_of(model, backwards=True)
    assert digest(root) == digest(forwards) == digest(backwards)
    assert len(digest(root)) == SIZE
    for names in model:
        kids = [edit.find(tree, names).kids for tree in (root, forwards, backwards)]
        assert shape(kids[0]) == shape(kids[1]) == shape(kids[2])


@given(steps, steps)
def test_digests_are_equal_exactly_if_contents_are(first, second) -> None:
    a, ours = grown(edit.EMPTY, EMPTY, first)
    b, theirs = grown(edit.EMPTY, EMPTY, second)
    assert (digest(a) == digest(b)) == (ours == theirs)
    assert (Tree(a) == Tree(b)) == (ours == theirs)


@given(steps, places, contents, contents)
def test_each_place_and_each_byte_counts(made, names, value, meta) -> None:
    root, model = grown(edit.EMPTY, EMPTY, [*wide("w", range(40)), *made])
    changed = edit.put(root, names, value, meta, 1, edit.new_edit())
    assert (digest(changed) == digest(root)) == (model.get(names) == (value, meta))


around = st.sampled_from([(), ("w",), ("a",), ("w", "n1"), ("w", "n99"), ("a", "n1"), ("a", "n99"), ("w", "n1", "x")])


changes = st.tuples(st.just("set"), around, contents, contents) | st.tuples(st.just("remove"), around)


@given(st.lists(st.just("digest") | changes, max_size=20))
def test_a_digest_asked_for_in_the_middle_of_an_edit_is_not_remembered_beyond_a_change(made) -> None:
    root, model, mark = edit.EMPTY, dict(EMPTY), edit.new_edit()
    for step in [*wide("w", range(33)), *wide("a", range(32)), *made]:
        if step == "digest":
            assert digest(root) == digest(tree_of(model))
        else:
            step_model(model, step)
            root = step_root(root, step, 1, mark)
    assert digest(root) == digest(tree_of(model))


def test_where_one_thing_ends_and_the_next_begins_counts() -> None:
    trees = [
        {("a",): (b"b", b"")},
        {("a",): (b"", b"b")},
        {("ab",): (b"", b"")},
        {("a",): (b"", b""), ("b",): (b"", b"")},
        {("a",): (b"", b""), ("a", "b"): (b"", b"")},
        {("a",): (b"", b""), ("a", "a"): (b"", b"b")},
        {("a",): (b"", b""), ("a", "a"): (b"b", b"")},
        {(): (b"a", b"b")},
        {(): (b"", b"ab")},
        {},
    ]
    assert len({digest(tree_of(EMPTY | tree)) for tree in trees}) == len(trees)


def test_a_digest_is_the_same_for_ever() -> None:
    root = tree_of(EMPTY | {("a", f"n{index}"): (b"%d" % index, b"m") for index in range(100)} | {("a",): (b"", b"")})
    assert digest(root).hex() == "7d6322f4b00c4e61d22170bfe79883b03920eeb46c026ae704dfe0400793bf23"
    assert digest(edit.EMPTY).hex() == "c57ded48cc527b2b8335d45276809543424a53b7e6c18a796e4437459d653b31"


def test_other_things_than_trees_are_never_equal_to_one() -> None:
    assert Tree(edit.EMPTY) != b""
    assert Tree(edit.EMPTY) == Tree(tree_of(EMPTY))
