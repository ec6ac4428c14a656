"""A listing that was spliced is what it would be if it were packed anew."""

from hypothesis import given
from hypothesis import strategies as st

from xsadapter.engine.listings import Listing, Listings, _spliced

NAMES = st.sets(st.text("abc-é", min_size=1, max_size=3), max_size=40)


def anew(names):
    return Listings().get("/p", tuple(sorted(names)))


@given(NAMES, NAMES)
def test_whatever_changed_the_listing_is_as_if_it_were_new(first, then):
    listings = Listings()
    listings.get("/p", tuple(sorted(first)))
    found = listings.get("/p", tuple(sorted(then)))
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
        listings.get("/p", tuple(sorted(there)))
    assert listings.get("/p", tuple(sorted(there))) == anew(there)


def test_what_changed_at_two_places_is_packed_anew():
    first, then = ("a", "b", "d"), ("a", "c", "d")
    assert _spliced(anew(first), then) is None
    assert _spliced(anew(("b", "c", "x")), ("a", "b", "c", "y")) is None


def test_a_hidden_name_is_in_neither_bytes_nor_generation():
    listings = Listings()
    assert listings.get("/", ("a", "hidden", "z"), "hidden") == Listing(
        ("a", "hidden", "z"), b"a\0z\0", anew(("a", "z")).generation
    )
    assert listings.get("/", ("a", "b", "hidden", "z"), "hidden").packed == b"a\0b\0z\0"
    assert len(listings) == 1
