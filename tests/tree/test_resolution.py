"""Merge rules: what each makes of a place that both sides changed, their algebra, and how they are read."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import rrdstore
from rrdstore import ConfigError, merge_rules
from rrdstore.tree import edit
from rrdstore.tree.merge import NOWHERE, UNKNOWN, Merged, merge, virtual
from rrdstore.tree.node import Node
from rrdstore.tree.path import split
from tests.tree.models import EMPTY, grown, model_of, steps

COUNTER = merge_rules([("/**", "counter")])
SET = merge_rules([{"pattern": "/**", "rule": "set", "separator": ","}])


def leaf(value: bytes | None, number: int = 1, meta: bytes = b"") -> Node:
    """A tree with one place /k, or without it."""
    if value is None:
        return edit.EMPTY
    return edit.put(edit.EMPTY, ("k",), value, meta, number, edit.new_edit())


def said(done: Merged) -> bytes | str | None:
    """The value at /k, or the kind of its clash."""
    if done.clashes:
        (clash,) = done.clashes
        assert clash.path == "/k"
        return clash.kind
    node = edit.find(done.root, ("k",))
    return None if node is None else node.value


def joined(path: str, base: bytes | None, ours: bytes, theirs: bytes) -> bytes | None:
    """Shows what a function is given."""
    return None if theirs == b"no" else b"|".join([path.encode(), b"-" if base is None else base, ours, theirs])


@pytest.mark.parametrize(
    ("rule", "base", "ours", "theirs", "result"),
    [
        ("conflict", b"1", b"2", b"3", "changed by both"),
        ("conflict", None, b"2", b"3", "created by both"),
        ("conflict", b"1", b"2", b"2", b"2"),
        ("conflict", b"1", None, b"3", "removed by ours"),
        ("conflict", b"1", b"2", None, "removed by theirs"),
        ("counter", b"10", b"12", b"7", b"9"),
        ("counter", b"10", b"11", b"11", b"12"),
        ("counter", b"10", b"10", b"11", b"11"),
        ("counter", None, b"4", b"5", b"9"),
        ("counter", b"-1", b"+3", b"-2", b"2"),
        ("counter", b"1", b"two", b"3", "changed by both"),
        ("counter", b"1", b"2", b" 3", "changed by both"),
        ("counter", b"", b"2", b"3", "changed by both"),
        ("counter", b"1", None, b"2", "removed by ours"),
        ("counter", b"1", None, None, None),
        ("counter", b"1", b"2", None, "removed by theirs"),
        ("set", b"a\nb", b"a\nb\nc", b"b\nd", b"b\nc\nd"),
        ("set", None, b"b", b"a\n", b"a\nb"),
        ("set", b"a", b"", b"a\nb", b"b"),
        ("set", b"a", b"c\na", b"c\na", b"c\na"),
        ("set", b"a", None, b"a\nb", "removed by ours"),
        ("ours", b"1", b"2", b"3", b"2"),
        ("ours", b"1", b"1", b"3", b"3"),
        ("ours", b"1", None, b"3", None),
        ("ours", b"1", b"2", None, b"2"),
        ("theirs", b"1", b"2", b"3", b"3"),
        ("theirs", b"1", None, b"3", b"3"),
        ("theirs", b"1", b"2", None, None),
        ("last", b"1", None, b"3", "removed by ours"),
        (joined, b"1", b"2", b"3", b"/k|1|2|3"),
        (joined, None, b"2", b"3", b"/k|-|2|3"),
        (joined, b"1", b"2", b"no", "changed by both"),
        (joined, b"1", b"2", b"2", b"2"),
        (joined, b"1", None, b"2", "removed by ours"),
    ],
)
def test_each_rule_by_table(rule, base, ours, theirs, result) -> None:
    assert said(merge(leaf(base), leaf(ours), leaf(theirs), 9, merge_rules([("/k", rule)]))) == result


def test_the_last_writer_is_the_one_with_the_higher_number() -> None:
    rules = merge_rules([("/**", "last")])
    base, early, late = leaf(b"0"), leaf(b"early", 5, b"e"), leaf(b"late", 6, b"l")
    for ours, theirs in ((early, late), (late, early)):
        node = edit.find(merge(base, ours, theirs, 9, rules).root, ("k",))
        assert (node.value, node.meta) == (b"late", b"l")


def test_metadata_is_settled_by_sides_only() -> None:
    base, ours, theirs = leaf(b"1", 1, b"m"), leaf(b"2", 2, b"o"), leaf(b"3", 3, b"t")
    assert said(merge(base, ours, theirs, 9, COUNTER)) == "changed by both"
    for name, meta in (("ours", b"o"), ("theirs", b"t")):
        node = edit.find(merge(base, ours, theirs, 9, merge_rules([("/k", name)])).root, ("k",))
        assert node.meta == meta


def test_the_first_match_wins_and_no_match_is_a_conflict() -> None:
    rules = merge_rules([("/k", "ours"), ("/*", "theirs")])
    assert said(merge(leaf(b"1"), leaf(b"2"), leaf(b"3"), 9, rules)) == b"2"
    assert said(merge(leaf(b"1"), leaf(b"2"), leaf(b"3"), 9, merge_rules([("/k/*", "ours")]))) == "changed by both"
    assert merge_rules([("/*", "theirs")]).before(rules).rule(("k",)).name == "theirs"


numbers = st.integers(-50, 50).map(lambda number: b"%d" % number)
sets = st.sets(st.sampled_from([b"a", b"b", b"c", b"d"])).map(lambda some: b",".join(sorted(some)))


@pytest.mark.parametrize(("rules", "values"), [(COUNTER, numbers), (SET, sets)], ids=["counter", "set"])
def test_counter_and_set_are_symmetric_and_associative(rules, values) -> None:
    @given(values, values, values, values)
    def holds(base, a, b, c) -> None:
        def merged(one: bytes, other: bytes) -> bytes:
            return said(merge(leaf(base), leaf(one), leaf(other), 9, rules))

        assert merged(a, b) == merged(b, a)
        assert merged(merged(a, b), c) == merged(a, merged(b, c))

    holds()


@given(st.lists(numbers, min_size=2, max_size=6))
def test_a_counter_is_the_sum_of_what_was_added(values) -> None:
    """Against plain arithmetic: every branch adds its steps to the same start, and all are merged one by one."""
    base = values[0]
    total, expected = leaf(base), int(base)
    for value in values[1:]:
        total = merge(leaf(base), total, leaf(value), 9, COUNTER).root
        expected += int(value) - int(base)
    assert said(Merged(total, ())) == b"%d" % expected


@example([], [("set", (), b"", b"n")], [("set", (), b"0", b"m")], "ours")
@given(steps, steps, steps, st.sampled_from(["ours", "theirs", "counter", "set", "last", "conflict"]))
def test_rules_touch_nothing_but_what_would_clash(first, mine, yours, name) -> None:
    base, model = grown(edit.EMPTY, EMPTY, first)
    ours, theirs = grown(base, model, mine)[0], grown(base, model, yours)[0]
    plain, ruled = merge(base, ours, theirs, 9), merge(base, ours, theirs, 9, merge_rules([("/**", name)]))
    clashed = {clash.path for clash in plain.clashes}
    assert {clash.path for clash in ruled.clashes} <= clashed
    if name in {"ours", "theirs"}:
        assert not ruled.clashes
    if name == "ours":
        # At a clash a merge has what ours has; with the rule what did not clash, value or metadata, may be theirs.
        done, left = model_of(ruled.root), model_of(plain.root)
        assert done.keys() == left.keys()
        for names, (value, _) in done.items():
            changed = edit.find(ours, names) is None or edit.find(base, names) is None
            mine_is_new = changed or edit.find(ours, names).value != edit.find(base, names).value
            assert value == left[names][0] or not mine_is_new
        assert {names for names in done if done[names] != left[names]} <= {split(path) for path in clashed}
    if name == "conflict":
        assert (model_of(ruled.root), ruled.clashes) == (model_of(plain.root), plain.clashes)


# Bases that are merges


def test_a_virtual_base_is_unknown_where_its_sides_clash() -> None:
    base, one, other = leaf(b"0"), leaf(b"1"), leaf(b"2")
    made = virtual(base, one, other, 9)
    assert edit.find(made, ("k",)).value == UNKNOWN
    assert said(merge(made, one, one, 9)) == b"1"
    for ours, theirs in ((one, other), (one, base), (one, leaf(None))):
        assert merge(made, ours, theirs, 9).clashes
        assert merge(made, theirs, ours, 9).clashes
    gone = virtual(base, leaf(None), other, 9)
    assert edit.find(gone, ("k",)).value == NOWHERE
    assert said(merge(gone, other, other, 9)) == b"2"
    assert said(merge(gone, leaf(None), leaf(None), 9)) is None
    assert merge(gone, other, leaf(None), 9).clashes
    assert said(merge(gone, other, leaf(None), 9, merge_rules([("/k", "theirs")]))) is None
    assert said(merge(gone, other, leaf(None), 9, merge_rules([("/k", "ours")]))) == b"2"


@given(steps, steps, steps)
def test_a_virtual_base_does_not_depend_on_the_order(first, mine, yours) -> None:
    base, model = grown(edit.EMPTY, EMPTY, first)
    one, other = grown(base, model, mine)[0], grown(base, model, yours)[0]
    for name in ("conflict", "counter", "set", "ours"):
        rules = merge_rules([("/**", name)])
        assert model_of(virtual(base, one, other, 9, rules)) == model_of(virtual(base, other, one, 9, rules))


def test_one_sided_rules_do_not_settle_a_base() -> None:
    for name in ("ours", "theirs", joined):
        made = virtual(leaf(b"0"), leaf(b"1"), leaf(b"2"), 9, merge_rules([("/k", name)]))
        assert edit.find(made, ("k",)).value == UNKNOWN
    assert said(Merged(virtual(leaf(b"0"), leaf(b"1"), leaf(b"2"), 9, COUNTER), ())) == b"3"


# How they are read


@pytest.mark.parametrize(
    ("table", "at", "key", "found"),
    [
        ("/k", "", "merge", "'/k'"),
        ({"pattern": "/k"}, "", "merge", "pattern"),
        (["/k"], "[[merge]] 1", "", "'/k'"),
        ([{"pattern": "/k", "rule": "ours"}, {"patern": "/k"}], "[[merge]] 2", "patern", "unknown"),
        ([{"pattern": "/k"}], "[[merge]] 1", "rule", "nothing"),
        ([{"rule": "ours"}], "[[merge]] 1", "pattern", "nothing"),
        ([{"pattern": "k", "rule": "ours"}], "[[merge]] 1", "pattern", "'k'"),
        ([{"pattern": 7, "rule": "ours"}], "[[merge]] 1", "pattern", "7"),
        ([{"pattern": "/k", "rule": "our"}], "[[merge]] 1", "rule", "'our'"),
        ([{"pattern": "/k", "rule": 7}], "[[merge]] 1", "rule", "7"),
        ([{"pattern": "/k", "rule": "ours", "separator": ","}], "[[merge]] 1", "separator", "'ours'"),
        ([{"pattern": "/k", "rule": "set", "separator": ""}], "[[merge]] 1", "separator", "''"),
    ],
)
def test_what_cannot_be_read_is_named(table, at, key, found) -> None:
    with pytest.raises(ConfigError) as refused:
        merge_rules(table, "store.toml")
    assert (refused.value.where, refused.value.table, refused.value.key) == ("store.toml", at, key)
    assert found in refused.value.found
    assert refused.value.expected
    assert str(refused.value).startswith("store.toml")


def test_functions_are_registered_by_name_once() -> None:
    rrdstore.register_merge("joined-in-a-test", joined)
    rrdstore.register_merge("joined-in-a-test", joined)
    rules = merge_rules([{"pattern": "/k", "rule": "joined-in-a-test"}])
    assert said(merge(leaf(b"1"), leaf(b"2"), leaf(b"3"), 9, rules)) == b"/k|1|2|3"
    for name in ("joined-in-a-test", "ours"):
        with pytest.raises(rrdstore.Exists):
            rrdstore.register_merge(name, lambda *_: None)
    with pytest.raises(rrdstore.InvalidName):
        rrdstore.register_merge("No", joined)
    with pytest.raises(TypeError, match="int"):
        rrdstore.register_merge("number", 7)  # type: ignore[arg-type]  # on purpose


def test_a_function_that_returns_no_bytes_is_told() -> None:
    with pytest.raises(TypeError, match="returned str"):
        merge(leaf(b"1"), leaf(b"2"), leaf(b"3"), 9, merge_rules([("/k", lambda *_: "x")]))
