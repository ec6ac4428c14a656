"""A tree does what a dict does, and what anyone has seen of it never changes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdstore.errors import InvalidPath, NotFound
from rrdstore.tree import edit
from rrdstore.tree.path import join, split
from rrdstore.tree.tree import Tree
from tests.tree.models import (
    EMPTY,
    Model,
    assert_shaped,
    contents,
    few,
    grown,
    metas,
    model_of,
    places,
    removals,
    sets,
    step_model,
    step_root,
    steps,
    tree_of,
    wide,
)

looks = st.tuples(st.sampled_from(["list", "digest", "new edit", "keep"]), places)


def under(model: Model, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(place[-1] for place in model if place and place[:-1] == names))


def assert_reads(tree: Tree, model: Model, names: tuple[str, ...]) -> None:
    path = join(names)
    node = tree.get(path)
    assert (path in tree) == (names in model) == (node is not None)
    existing = [names[:depth] for depth in range(len(names) + 1) if names[:depth] in model]
    assert [(step.value, step.meta) for step in tree.walk(path)] == [model[place] for place in existing]
    if node is None:
        for read in (tree.stat, tree.list, tree.descend, tree.outline, tree.order):
            with pytest.raises(NotFound) as missing:
                read(path)
            assert (missing.value.what, missing.value.name) == ("node", path)
        return
    assert (node.value, node.meta) == model[names]
    assert tree.stat(path) is node
    assert tree.list(path) == under(model, names)
    assert node.children == len(under(model, names))
    below = sorted(place for place in model if place[: len(names)] == names)
    assert [(path, (node.value, node.meta)) for path, node in tree.descend(path)] == [
        (join(place), model[place]) for place in below
    ]
    assert [(level, name, (node.value, node.meta)) for level, name, node in tree.outline(path, 7)] == [
        (len(place) - len(names) + 6, place[-1], model[place]) for place in below[1:]
    ]


@given(st.lists(sets | sets | removals | looks, max_size=40), places, st.booleans())
def test_any_steps_do_to_a_tree_what_they_do_to_a_dict(made, elsewhere, filled) -> None:
    start = wide("a", range(33)) if filled else []
    root, model = grown(edit.EMPTY, EMPTY, start)
    mark = edit.new_edit()
    kept = []
    for step in made:
        kind, names, *_ = step
        if kind == "list":
            assert Tree(root).list("/") == under(model, ())
            if names in model:
                assert Tree(root).list(join(names)) == under(model, names)
        elif kind == "digest":
            assert Tree(root).digest() == Tree(tree_of(model)).digest()
        elif kind in ("new edit", "keep"):
            mark = edit.new_edit()
            if kind == "keep":
                kept.append((root, dict(model)))
        else:
            step_model(model, step)
            root = step_root(root, step, 1, mark)
    for names in {(), elsewhere, *(step[1] for step in made)}:
        assert_reads(Tree(root), model, names)
    assert_shaped(root)
    for old, content in kept:
        assert model_of(old) == content
        assert_reads(Tree(old), content, elsewhere)


@given(steps, steps, st.booleans())
def test_what_an_ended_edit_made_stays_as_it_was(first, second, one_edit) -> None:
    root, model = grown(edit.EMPTY, EMPTY, [*wide("w", range(31)), *first])
    seen = [(root, dict(model), Tree(root).digest())]
    mark = edit.new_edit()
    for step in second:
        step_model(model, step)
        root = step_root(root, step, 2, mark)
        if not one_edit:
            mark = edit.new_edit()
            seen.append((root, dict(model), Tree(tree_of(model)).digest()))
    assert model_of(root) == model
    for old, content, proof in seen:
        assert model_of(old) == content
        assert Tree(old).digest() == proof
        assert_shaped(old)


@given(steps)
def test_one_edit_and_an_edit_per_change_make_the_same_tree(made) -> None:
    together, _ = grown(edit.EMPTY, EMPTY, made)
    apart = edit.EMPTY
    for number, step in enumerate(made, 1):
        apart = step_root(apart, step, number, edit.new_edit())
    rows = [
        [(path, node.value, node.meta, node.created, node.modified) for path, node in Tree(root).descend()]
        for root in (together, apart)
    ]
    assert rows[0] == rows[1]


@settings(max_examples=6)
@given(st.integers(0, 2**32), st.sampled_from([200, 1500, 4000]), st.booleans())
def test_a_directory_grows_wide_and_shrinks_again(seed, most, one_edit) -> None:
    chance = random.Random(seed)
    root, mark, model = edit.EMPTY, edit.new_edit(), dict(EMPTY)
    names: list[str] = []
    kept = []
    for goal in (most, most // 3, most // 2, 40, 31, 34, 0):
        while len(names) != goal:
            if len(names) < goal:
                names.append(f"n{chance.randrange(10**9)}-{len(model)}")  # a name that is not there yet
                step = ("set", ("wide", names[-1]), b"%d" % len(names), None)
            else:
                at = chance.randrange(len(names))
                names[at], names[-1] = names[-1], names[at]
                step = ("remove", ("wide", names.pop()))
            if step[0] == "set":
                step_model(model, step)
            else:
                del model[step[1]]
            root = step_root(root, step, 1, mark)
            if not one_edit:
                mark = edit.new_edit()
            if chance.random() < 0.02:
                assert Tree(root).list("/wide") == tuple(sorted(names))
        assert model_of(root) == model
        assert_shaped(root)
        assert Tree(root).list("/wide") == tuple(sorted(names))
        assert all(Tree(root).get(f"/wide/{name}").value == model["wide", name][0] for name in names)
        kept.append((root, dict(model), tuple(sorted(names))))
        mark = edit.new_edit()
    for old, content, listed in kept:
        assert model_of(old) == content
        assert Tree(old).list("/wide") == listed


def test_names_whose_hashes_collide_share_one_bucket_at_the_last_level(monkeypatch) -> None:
    for module in ("node", "edit"):
        monkeypatch.setattr(f"rrdstore.tree.{module}.name_hash", len)
    root, model = grown(edit.EMPTY, EMPTY, wide("w", range(10, 80)))
    assert model_of(root) == model
    assert_shaped(root, len)
    for index in range(20, 80):
        root, model = grown(root, model, [("remove", ("w", f"n{index}"))])
        assert model_of(root) == model
        assert_shaped(root, len)


def test_who_set_a_node_and_when_it_was_made() -> None:
    root = edit.put(edit.EMPTY, ("a", "b"), b"1", None, 3, edit.new_edit())
    root = edit.put(root, ("a", "b"), b"2", b"m", 4, edit.new_edit())
    root = edit.put(root, ("a", "c"), b"3", None, 5, edit.new_edit())
    root = edit.put(root, ("a", "b"), b"4", None, 6, edit.new_edit())
    times = {path: (node.created, node.modified) for path, node in Tree(root).descend()}
    assert times == {"/": (0, 0), "/a": (3, 3), "/a/b": (3, 6), "/a/c": (5, 5)}
    assert Tree(root).stat("/a/b").meta == b"m", "meta None keeps what is there"


@given(places)
def test_removing_what_is_not_there_is_refused_and_changes_nothing(names) -> None:
    root, model = grown(edit.EMPTY, EMPTY, wide("w", range(40)))
    before = Tree(root).digest()
    missing = (*names, "missing")
    with pytest.raises(KeyError):
        edit.remove(root, missing, edit.new_edit())
    assert Tree(root).digest() == before
    assert model_of(root) == model


@given(steps, places, steps)
def test_a_graft_puts_a_whole_subtree_in_place(made, names, other) -> None:
    root, model = grown(edit.EMPTY, EMPTY, made)
    scion, content = grown(edit.EMPTY, EMPTY, other)
    grafted = edit.graft(root, names, scion, 9, edit.new_edit())
    expected = {place: at for place, at in model.items() if place[: len(names)] != names}
    for depth in range(len(names)):
        expected.setdefault(names[:depth], (b"", b""))
    expected |= {(*names, *place): at for place, at in content.items()}
    assert model_of(grafted) == expected
    assert (model_of(root), model_of(scion)) == (model, content)


@given(steps, places, st.lists(st.tuples(few, contents, metas.filter(lambda meta: meta is not None)), max_size=6))
def test_a_chain_of_new_nodes_is_so_many_puts(made, above, chain) -> None:
    root, model = grown(edit.EMPTY, EMPTY, made)
    highest = (*above, "new")
    names = (*highest, *(name for name, _, _ in chain[1:]))
    kept, values = Tree(root), [(value, meta) for _, value, meta in chain]
    one_by_one, mark = root, edit.new_edit()
    for depth, (value, meta) in enumerate(values):
        one_by_one = edit.put(one_by_one, names[: len(highest) + depth], value, meta, 9, mark)
    chained = edit.put_chain(root, names if chain else highest, values, 9, edit.new_edit())
    assert Tree(chained).digest() == Tree(one_by_one).digest()
    for depth in range(len(names) + 1):
        found, expected = (edit.find(tree, names[:depth]) for tree in (chained, one_by_one))
        assert (found is None) == (expected is None)
        if found is not None:
            assert (found.created, found.modified) == (expected.created, expected.modified)
            assert edit.depth(chained, (*names[:depth], "nothing")) == depth
    assert_shaped(chained)
    assert model_of(kept.root) == model


@given(few, few)
def test_a_bad_path_is_refused_before_anything_is_read(good, worse) -> None:
    tree = Tree(edit.EMPTY)
    for read in (tree.get, tree.stat, tree.list, tree.walk, tree.descend, tree.__contains__):
        with pytest.raises(InvalidPath):
            read(f"/{good}//{worse}")


def test_a_tree_being_changed_may_be_walked() -> None:
    root, mark = tree_of({(): (b"", b""), ("a",): (b"", b""), ("b",): (b"", b"")}), edit.new_edit()
    root = edit.put(root, ("c",), b"", None, 1, mark)
    walk = Tree(root).descend()
    assert next(walk)[0] == "/"
    root = edit.remove(root, ("b",), mark)
    assert [path for path, _ in walk] in (["/a", "/c"], ["/a", "/b", "/c"])


def test_a_walk_leads_to_the_node_or_the_nearest_above_it() -> None:
    tree = Tree(tree_of({(): (b"r", b""), ("a",): (b"a", b""), ("a", "b"): (b"b", b"")}))
    assert [node.value for node in tree.walk("/a/b")] == [b"r", b"a", b"b"]
    assert [node.value for node in tree.walk("/a/x/y")] == [b"r", b"a"]
    assert [node.value for node in tree.walk("/")] == [b"r"]


@given(places)
def test_a_path_is_split_and_joined(names) -> None:
    assert split(join(names)) == names
