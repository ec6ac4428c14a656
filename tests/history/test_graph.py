"""The graph of kept commits against the whole one: whatever was dropped, in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rrdstore.history.commit import Key, Record
from rrdstore.history.graph import Graph


@st.composite
def histories(draw, most=40):
    """(number, branch, parents): branches that fork and merge at will, also criss-cross."""
    commits = [(1, 1, ())]
    heads = {1: 1}
    for number in range(2, draw(st.integers(2, most))):
        branch = draw(st.integers(1, 4))
        if branch not in heads:
            heads[branch] = draw(st.sampled_from(sorted(heads.values())))
        parents = (heads[branch],)
        if draw(st.booleans()):
            other = draw(st.integers(1, number - 1))
            if other != heads[branch]:
                parents = (heads[branch], other)
        commits.append((number, branch, parents))
        heads[branch] = number
    return commits


def reach(commits):
    """Of each commit all its ancestors, by definition."""
    found = {}
    for number, _, parents in commits:
        found[number] = set(parents).union(*(found[parent] for parent in parents))
    return found


def nearest(number, kept, parents, ancestors):
    """The kept ancestors that are reached without passing a kept one, less those that are ancestors of another."""
    found, stack = set(), [*parents[number]]
    while stack:
        top = stack.pop()
        if top in kept:
            found.add(top)
        else:
            stack.extend(parents[top])
    return {a for a in found if not any(a in ancestors[b] for b in found)}


def grown(commits, drop_between):
    """A graph of these commits, where `drop_between` says which are dropped before each."""
    graph, dropped = Graph(), set()
    for number, branch, parents in commits:
        keys = tuple(Key(parent, 1) for parent in parents)
        record = Record(number, 1, branch, keys, number, number, "", "", None)
        record.grafts = graph.reduced([parent for parent in parents if parent in graph.records])
        graph.add(record)
        for gone in drop_between(number):
            graph.drop(graph.records[gone])
            dropped.add(gone)
    return graph, dropped


@settings(max_examples=150)
@given(histories(), st.data())
def test_grafts_and_counts_are_those_of_the_whole_graph(commits, data):
    parents = {number: above for number, _, above in commits}
    branch = {number: own for number, own, _ in commits}
    ancestors = reach(commits)
    graph, _ = grown(commits, lambda number: ())
    kept = set(parents)
    for gone in data.draw(st.permutations(sorted(kept)))[: data.draw(st.integers(0, len(kept)))]:
        changed = graph.drop(graph.records[gone])
        kept.discard(gone)
        assert set(graph.records) == kept
        assert graph.numbers == sorted(kept)
        assert {record.number for record in changed} <= kept
        assert len(changed) == len({record.number for record in changed})
    assert {number: set(graph.records[number].grafts) for number in kept} == {
        number: nearest(number, kept, parents, ancestors) for number in kept
    }
    for own in set(branch.values()):
        line = [number for number in parents if branch[number] == own]
        assert graph.lines.get(own, []) == [number for number in line if number in kept]
        before = 0
        for number in graph.lines.get(own, []):
            at = line.index(number)
            assert graph.records[number].thinned == at - before
            before = at + 1


@settings(max_examples=100)
@given(histories(), st.data())
def test_what_is_dropped_while_it_grows_comes_to_the_same(commits, data):
    """Parents that a commit is made from are there; anything else may have gone before."""
    order = {}
    for number, _, _ in commits:
        if data.draw(st.booleans()):
            last_use = max([other for other, _, above in commits if number in above], default=number)
            when = data.draw(st.integers(last_use, len(commits)))
            order.setdefault(when, []).append(number)
    early, dropped = grown(commits, lambda number: order.get(number, ()))
    late, _ = grown(commits, lambda number: sorted(dropped) if number == len(commits) else ())
    facts = [
        {n: (set(record.grafts), record.thinned) for n, record in graph.records.items()} for graph in (early, late)
    ]
    assert facts[0] == facts[1]


@settings(max_examples=60)
@given(histories(), st.data())
def test_the_changed_ones_are_told(commits, data):
    """A storage writes only what `drop` names: nothing else may have other edges or counts than before."""
    graph, _ = grown(commits, lambda number: ())
    facts = {n: (record.grafts, record.thinned) for n, record in graph.records.items()}
    for gone in data.draw(st.permutations(sorted(facts)))[:10]:
        named = {record.number for record in graph.drop(graph.records[gone])}
        for number, record in graph.records.items():
            if number not in named:
                assert facts[number] == (record.grafts, record.thinned)
            facts[number] = (record.grafts, record.thinned)


@settings(max_examples=60)
@given(histories(), st.data())
def test_ancestry_is_everything_kept_that_led_here_newest_first(commits, data):
    ancestors = reach(commits)
    gone = set(data.draw(st.lists(st.sampled_from(sorted(ancestors)), unique=True)))
    start = data.draw(st.sampled_from(sorted(ancestors)))
    graph, _ = grown(commits, lambda number: sorted(gone - {start}) if number == len(commits) else ())
    expected = sorted((ancestors[start] - gone) | {start}, reverse=True)
    assert [record.number for record in graph.ancestry(start)] == expected


@given(st.sets(st.integers(1, 40), min_size=1), st.integers(0, 41))
def test_around_are_the_nearest_kept_of_the_store(kept, number):
    graph = Graph()
    for kept_number in sorted(kept):
        graph.add(Record(kept_number, 1, 1, (), 0, 0, "", "", None))
    before, after = graph.around(number)
    assert (before and before.number) == max((n for n in kept if n < number), default=None)
    assert (after and after.number) == min((n for n in kept if n > number), default=None)


def test_a_line_of_commits_stays_a_line():
    """The commonest case: whatever is dropped, one edge a commit."""
    commits = [(1, 1, ()), *((n, 1, (n - 1,)) for n in range(2, 200))]
    graph, _ = grown(commits, lambda number: [number - 1] if number % 7 and number > 1 else ())
    kept = sorted(graph.records)
    assert [graph.records[n].grafts for n in kept] == [(), *((n,) for n in kept[:-1])]
    assert sum(1 + graph.records[n].thinned for n in kept) == 199
