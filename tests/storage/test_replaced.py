"""What commits replace, handed on from one to the next, against sets of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.history.commit import Record
from rrdstore.storage import kept
from rrdstore.storage.layout import KEPT
from rrdstore.storage.packing import LENGTH_BITS
from rrdstore.storage.replaced import FEW, MOST, Many, handed_on, runs

SIZE = 104
numbers = st.one_of(
    st.frozensets(st.integers(1, 60), max_size=20),
    st.builds(lambda first, count, step: frozenset(range(first, first + count * step, step)),
              st.sampled_from([1, 40, 1 << 47]), st.integers(1, 5000), st.integers(1, 3)),
)  # fmt: skip


def remembered(found, packed):
    objects = tuple([number << LENGTH_BITS | SIZE for number in found])
    return Many(tuple(runs(objects))) if packed or len(objects) > FEW else objects


def those(found):
    return None if found is None else {one >> LENGTH_BITS for one in found}


@given(numbers, st.lists(st.tuples(numbers, st.booleans(), st.one_of(st.integers(0, 70), st.integers(0, 1 << 48)))))
def test_what_dies_and_what_is_handed_on_are_what_sets_say(first, others):
    """Each commit that goes leaves to the next one what the one before it has as well."""
    before, expected = remembered(first, packed=False), set(first)
    for found, packed, floor in others:
        own = remembered(found - expected, packed)
        dying, heir = handed_on(own, floor, before)
        assert those(dying) == {number for number in found - expected if number > floor}
        expected |= {number for number in found - expected if number <= floor}
        assert those(heir) == expected
        for one in (dying, heir):
            if isinstance(one, Many):
                assert [*one] == sorted(one), "children come first"
                assert those(one.tight()) == those(one)
                assert len(one) == len(those(one))
            else:
                assert len(one) <= max(FEW, len(own))
        before = heir


def test_nothing_is_handed_on_to_who_is_not_known_to_have_replaced_what():
    own = remembered(range(1, 1000), packed=True)
    assert handed_on(own, 10, None)[1] is None
    assert those(handed_on(own, 10, None)[0]) == set(range(11, 1000))


def test_more_than_the_most_is_forgotten():
    half = MOST // 2
    before = remembered(range(1, half + 1), packed=True)
    own = remembered(range(half + 1, MOST + 1), packed=True)
    dying, heir = handed_on(own, MOST, before)
    assert (len(dying), len(heir)) == (0, MOST)
    own = remembered(range(half + 1, MOST + 2), packed=True)
    assert handed_on(own, MOST + 1, before)[1] is None


def test_neighbours_take_a_byte_or_two():
    many = Many(tuple(runs([number << LENGTH_BITS for number in range(1, 10_000, 3)])))
    assert many.size < 3 * len(many)
    loose = Many((), tuple([number << LENGTH_BITS for number in range(1, 1000)]))
    assert loose.tight().size < loose.size / 10


def test_what_finds_no_room_is_forgotten_from_the_newest_on(monkeypatch):
    table = kept.KeptTable([bytes(KEPT)] * 20, 2, [])
    many = remembered(range(1, 5000), packed=True)
    monkeypatch.setattr(kept, "_REMEMBERED", 2 * many.size)
    for number in range(1, 5):
        table.add(Record(number, 1, 1, (), 0, 0, "", "", None), number - 1, many if number > 1 else ())
    assert not list(table.dropping([]))
    assert [table.commits[number].replaced for number in range(1, 5)] == [(), many, many, None]
