"""Who wrote what a kept commit stands for, against a list of all commits ever made."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore import interchange
from rrdstore.history.authors import AUTHORS
from rrdstore.storage.layout import NAMES_A_ROW
from rrdstore.testing import ManualClock
from rrdstore.testing.homes import FileHome

NAMES = ["", "alice", "bob", "cecil", "dora", "others", "é" * 20, "x" * 40, "karl", "lea", "max", "nora"]


def stands_for(branch, made):
    """Of each kept commit of a line, the authors of all commits since the kept one before it."""
    kept = sorted(commit.number for commit in branch.log())
    before = 0
    for number in kept:
        yield number, Counter(author for other, author in made if before < other <= number)
        before = number


def compare(branch, made):
    commits = {commit.number: commit for commit in branch.log()}
    for number, truth in stands_for(branch, made):
        commit = commits[number]
        assert sum(commit.authors.values()) + commit.others == 1 + commit.thinned == sum(truth.values())
        if len(truth) <= AUTHORS:
            assert dict(commit.authors) == dict(truth)
            assert commit.others == 0
        else:
            assert len(commit.authors) <= AUTHORS
            assert all(count <= truth[name] for name, count in commit.authors.items())
        assert list(commit.authors) == sorted(commit.authors, key=lambda name: (-commit.authors[name], name))


def grow(branch, clock, made, moves):
    for author, gap in moves:
        clock.advance(gap)
        commit = branch.set("/n", b"%d" % len(made), author=author)
        made.append((commit.number, author))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([NAMES[:3], NAMES[:8], NAMES]).flatmap(
        lambda names: st.lists(st.tuples(st.sampled_from(names), st.sampled_from([0, 0.4, 3, 50, 4000])), max_size=120)
    )
)
def test_authors_are_those_of_what_it_stands_for(moves):
    clock = ManualClock()
    with rrdstore.memory("last:3 1s:5 1m:4 *:3", clock=clock) as store:
        main, made = store.branch("main"), [(1, "")]
        grow(main, clock, made, moves)
        compare(main, made)


def test_of_more_than_eight_the_greatest_stay_and_ties_go_by_name():
    clock = ManualClock()
    with rrdstore.memory("1h:10", clock=clock) as store:
        main = store.branch("main")
        clock.advance(3600)
        for name in "jihgfedcba":
            for _ in range(2 if name in "aj" else 1):
                main.set("/n", b"", author=name)
        # "i" went when "b" came as the ninth, "h" when "a" did.
        assert dict(main.head.authors) == {"a": 2, "j": 2, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1}
        assert main.head.others == 2


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "host.rrdb")


def test_a_file_remembers_them_over_openings_crashes_and_a_dump(path, tmp_path):
    clock, made = ManualClock(), [(1, "")]
    moves = [(NAMES[(n * n + n // 7) % 8], 0.7 * (n % 5)) for n in range(300)]
    with rrdstore.create(path, "4MiB", "last:4 1s:9 1m:20", clock=clock) as store:
        grow(store.branch("main"), clock, made, moves[:150])
        compare(store.branch("main"), made)
    with rrdstore.open(path, clock=clock) as store:
        compare(store.branch("main"), made)
        grow(store.branch("main"), clock, made, moves[150:])
        compare(store.branch("main"), made)
        said = {commit.id: dict(commit.authors) for commit in store.branch("main").log()}
        lines: list[str] = []
        interchange.dump(store, lines.append)
    with interchange.restore(tmp_path / "copy.rrdb", lines, clock=clock) as store:
        compare(store.branch("main"), made)
    with rrdstore.open(path, readonly=True, clock=clock) as store:
        assert {commit.id: dict(commit.authors) for commit in store.branch("main").log()} == said
        assert store.check() == []


def test_a_table_of_names_that_is_full_gives_unused_places_to_others(path):
    clock = ManualClock()
    with rrdstore.create(path, "4MiB", "last:2 1s:5", clock=clock) as store:
        main = store.branch("main")
        for n in range(3 * 2 * NAMES_A_ROW):
            main.set("/n", b"", author=f"author {n}")
            main.set("/n", b"", author=f"author {n}")
            clock.advance(1)
            store.tick()
        *newer, oldest = main.log()
        assert all(commit.others == 0 for commit in newer)
        assert oldest.others > 1000


def test_names_that_find_no_place_are_others_before_and_after_an_opening(path):
    clock = ManualClock()
    with rrdstore.create(path, "4MiB", "last:2 1s:300", clock=clock) as store:
        main = store.branch("main")
        for n in range(280):
            main.set("/n", b"", author=f"author {n}")
            main.set("/n", b"", author=f"author {n}")
            clock.advance(1)
        store.tick()
        said = {commit.id: (dict(commit.authors), commit.others) for commit in main.log()}
        assert sum(1 for _, others in said.values() if others) > 50
    with rrdstore.open(path, clock=clock) as store:
        assert {c.id: (dict(c.authors), c.others) for c in store.branch("main").log()} == said
        assert store.check() == []


@pytest.mark.parametrize("seed", range(6))
def test_of_more_than_eight_the_same_is_said_after_a_crash(seed):
    random, home = Random(seed), FileHome()

    def said(store):
        records = store.ledger.history.graph.records.values()
        return {each.number: (each.author, each.thinned, each.authors and dict(each.authors)) for each in records}

    with home.create("last:8 1s:1m *:6") as store:
        main = store.branch("main")
        for number in range(random.randrange(300, 900)):
            main.set("/a", b"%d" % number, author=f"u{random.randrange(30)}")
            if random.random() < 0.01:
                home.clock.advance(random.randrange(1, 3))
            if random.random() < 0.004:
                store.tick(random.choice((None, 0.0)))
        image = home.image()
        with image.open() as again:
            assert said(again) == said(store)
            assert any(authors is not None and len(authors) == 8 for _, _, authors in said(again).values())
        image.end()
    home.end()
