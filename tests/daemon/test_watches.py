"""The trie of watches against a list that is searched from end to end."""

from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.conversation import fresh_daemon
from xsadapter.engine.watches import Watches

names = st.sampled_from(["a", "b", "ab", "@x"])
plain = st.lists(names, max_size=6).map(lambda parts: "/" + "/".join(parts))
special = st.lists(names, max_size=2).map(lambda parts: "/".join(["@x", *parts]))
places = st.one_of(plain, plain, special)
registrations = st.lists(st.tuples(places, st.none() | st.integers(0, 3)), max_size=12)


def above(upper, lower):
    """How many levels `lower` is below `upper`; None if it is not."""
    if upper.startswith("@") != lower.startswith("@"):
        return None
    first, second = [[part for part in path.split("/") if part] for path in (upper, lower)]
    return len(second) - len(first) if second[: len(first)] == first else None


def below(place):
    """All places of the trie below one."""
    for first, inner in place.below.items():
        assert inner.way[0] == first
        yield inner
        yield from below(inner)


@given(registrations, st.data())
def test_a_look_up_finds_what_a_search_finds(made, data):
    connection = fresh_daemon().connect("")
    watches = Watches()
    for token, (path, depth) in enumerate(made):
        watches.add(connection, path, b"%d" % token, depth, 0)
    gone = data.draw(st.sets(st.sampled_from(list(connection.watches.values())))) if made else set()
    for watch in gone:
        watches.remove(watch)
    left = [(path, depth, b"%d" % token) for token, (path, depth) in enumerate(made)]
    left = [entry for entry in left if (entry[0], entry[2]) in connection.watches]
    assert watches.count == len(left) == len(made) - len(gone)
    for root in (watches._paths, watches._specials):
        inner = list(below(root))
        assert all(place.here or len(place.below) > 1 for place in inner), "a place that nobody needs"
        assert len(inner) <= 2 * len({path for path, _, _ in left})

    asked = data.draw(places)
    reach = [(token, depth, above(path, asked)) for path, depth, token in left]
    assert [watch.token for watch in watches.matching(asked)] == [
        token for token, depth, levels in reach if levels is not None and (depth is None or levels <= depth)
    ]
    by_places = [
        watch
        for place, levels in watches.chain(asked)
        for watch in place.here
        if watch.depth is None or watch.depth >= levels
    ]
    assert sorted(by_places, key=lambda watch: watch.serial) == watches.matching(asked)
    before, looked = data.draw(st.lists(places, max_size=3)), set()
    for place in before:
        list(watches.below(place, looked))
    found = list(watches.below(asked, looked))
    told = [watch.path for place in found for watch in place.here]
    seen = [path for path, _, _ in left if any((above(place, path) or 0) > 0 for place in before)]
    new = [path for path, _, _ in left if (above(asked, path) or 0) > 0 and path not in seen]
    assert sorted(told) == sorted(new)
    for upper_at, upper in enumerate(told):
        assert not any((above(upper, lower) or 0) > 0 for lower in told[upper_at:]), "deeper ones come first"


def test_nothing_is_left_of_watches_that_are_gone():
    connection = fresh_daemon().connect("")
    watches = Watches()
    for path in ("/", "/a", "/a/b/c", "/a/b", "@x", "@x/5"):
        watches.add(connection, path, b"t", None, 0)
    watches.remove_all(connection)
    assert watches.count == 0
    assert connection.watches == {}
    assert not watches._paths.below
    assert not watches._specials.below
    assert not watches._paths.here


def test_watches_on_very_deep_paths_need_no_recursion():
    connection = fresh_daemon().connect("")
    watches = Watches()
    path = "/a" * 1536
    watches.add(connection, path, b"t", None, 0)
    assert [place.here[0].path for place in watches.below("/", set())] == [path]
    watches.remove_all(connection)
