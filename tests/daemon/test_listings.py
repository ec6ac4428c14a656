"""A listing that was spliced is what it would be if it were packed anew."""

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.tree.order import NOTES, Late, noted
from xsadapter.engine.listings import _PLACES, Listing, Listings, _spliced

NAMES = st.sets(st.text("abc-é", min_size=1, max_size=3), max_size=40)


def anew(names):
    return Listings().get("/p", (tuple(sorted(names)), ()))


@given(NAMES, NAMES)
def test_whatever_changed_the_listing_is_as_if_it_were_new(first, then):
    listings = Listings()
    listings.get("/p", (tuple(sorted(first)), ()))
    found = listings.get("/p", (tuple(sorted(then)), ()))
    assert found == anew(then)
    assert found.packed == b"".join(b"%b\0" % name.encode() for name in sorted(then))


@given(NAMES, st.text("abc-é", min_size=1, max_size=3))
def test_one_name_that_came_or_went_is_spliced(names, name):
    without, with_it = anew(names - {name}), anew(names | {name})
    assert _spliced(without, with_it.names) == with_it
    assert _spliced(with_it, without.names) == without
    assert with_it.generation != without.generation


@given(st.permutations([f"n{n}" for n in range(12)]))
def test_the_generation_is_one_of_the_names_and_of_nothing_else(order):
    listings, there = Listings(), set()
    for name in order:
        there.add(name)
        listings.get("/p", (tuple(sorted(there)), ()))
    assert listings.get("/p", (tuple(sorted(there)), ())) == anew(there)


@given(NAMES, st.sets(st.text("abc-é", min_size=1, max_size=3), max_size=_PLACES))
def test_a_few_names_that_came_and_went_are_spliced(names, changed):
    then = names ^ changed
    assert _spliced(anew(names), anew(then).names) == anew(then)


@given(
    NAMES, st.lists(st.text("abc-é", min_size=1, max_size=3), max_size=3 * NOTES), st.lists(st.booleans(), min_size=3)
)
def test_what_came_and_went_since_is_carried_along(names, toggled, asked):
    listings, there = Listings(), set(names)
    order, orders = tuple(sorted(there)), []
    for at, name in enumerate(toggled):
        there ^= {name}
        order = noted(order, name, there=name in there)
        orders.append((order, anew(there)))
        if asked[at % len(asked)]:
            assert shown(listings, order) == (orders[-1][1].packed, orders[-1][1].generation)
    # Whoever is in a transaction asks for what was there before.
    for before, expected in orders[::3]:
        assert shown(listings, before) == (expected.packed, expected.generation)


def shown(listings, order):
    found = listings.get("/p", (order.names, order.notes) if isinstance(order, Late) else (order, ()))
    return found.packed, found.generation


def test_one_name_that_came_is_put_into_what_was_there():
    names = tuple(f"n{number}" for number in range(1000, 2000))
    listings = Listings()
    first = listings.get("/p", (names, ()))
    found = listings.get("/p", (names, (("n1500a", True),)))
    assert found.names is names
    assert found.packed == first.packed.replace(b"n1501\0", b"n1500a\0n1501\0")
    assert listings.get("/p", (names, found.notes)) is found
    assert listings.get("/p", (names, (*found.notes, ("n1500a", False)))).packed == first.packed


def test_what_changed_at_many_places_is_packed_anew():
    first, more = [f"n{n:02}" for n in range(20)], [f"n{n:02}a" for n in range(_PLACES + 1)]
    assert _spliced(anew(first), tuple(sorted(first + more))) is None
    assert _spliced(anew(first), tuple(sorted(first[1:] + more[:-1]))) is None
    assert _spliced(anew(first), tuple(sorted(first[2:] + more[:-2]))) is None
    assert _spliced(anew(first), tuple(sorted(first[2:] + more[:-3]))) is not None


def test_a_hidden_name_is_in_neither_bytes_nor_generation():
    listings = Listings()
    names = ("a", "hidden", "z")
    found = Listing(names, (), b"a\0z\0", anew(("a", "z")).generation)
    assert listings.get("/", (names, ()), "hidden") == listings.get("/", (names, ()), "hidden") == found
    assert listings.get("/", (("a", "b", "hidden", "z"), ()), "hidden").packed == b"a\0b\0z\0"
    assert len(listings) == 1
