"""A listing that was spliced is what it would be if it were packed anew."""

from hypothesis import given
from hypothesis import strategies as st

from xsadapter.engine.listings import _PLACES, Listing, Listings, _spliced

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


@given(NAMES, st.sets(st.text("abc-é", min_size=1, max_size=3), max_size=_PLACES))
def test_a_few_names_that_came_and_went_are_spliced(names, changed):
    then = names ^ changed
    assert _spliced(anew(names), anew(then).names) == anew(then)


def test_what_changed_at_many_places_is_packed_anew():
    first, more = [f"n{n:02}" for n in range(20)], [f"n{n:02}a" for n in range(_PLACES + 1)]
    assert _spliced(anew(first), tuple(sorted(first + more))) is None
    assert _spliced(anew(first), tuple(sorted(first[1:] + more[:-1]))) is None
    assert _spliced(anew(first), tuple(sorted(first[2:] + more[:-2]))) is None
    assert _spliced(anew(first), tuple(sorted(first[2:] + more[:-3]))) is not None


def test_a_hidden_name_is_in_neither_bytes_nor_generation():
    listings = Listings()
    assert listings.get("/", ("a", "hidden", "z"), "hidden") == Listing(
        ("a", "hidden", "z"), b"a\0z\0", anew(("a", "z")).generation
    )
    assert listings.get("/", ("a", "b", "hidden", "z"), "hidden").packed == b"a\0b\0z\0"
    assert len(listings) == 1
