"""The ring page against a plain queue of bytes, whatever the guest writes into it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsadapter.engine.ring import BAD_INDEX, HALF, PAGE, Ring, RingError

REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD, FEATURES, CONNECTION, ERROR, PORT = range(512, 520)
WRAP = 2**32

indexes = st.one_of(st.integers(0, WRAP - 1), st.integers(WRAP - 3000, WRAP - 1), st.just(0))


def take(ring, most):
    """What the daemon does with requests, as soon as they are done."""
    data = ring.copy(0, most)
    ring.let_go(len(data))
    return data


def put(ring, data):
    """What it does with responses."""
    count = ring.fill(data)
    ring.show(count)
    return count


class Guest:
    """The other side, by the words of the page alone."""

    def __init__(self, start=0):
        self.page = bytearray(PAGE)
        self.words = memoryview(self.page).cast("I")
        for index in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
            self.words[index] = start
        self.ring = Ring(memoryview(self.page))

    def put(self, data):
        producer = self.words[REQ_PROD]
        data = data[: HALF - (producer - self.words[REQ_CONS]) % WRAP]
        for at, byte in enumerate(data):
            self.page[(producer + at) % HALF] = byte
        self.words[REQ_PROD] = (producer + len(data)) % WRAP
        return data

    def take(self, most):
        consumer = self.words[RSP_CONS]
        count = min(most, (self.words[RSP_PROD] - consumer) % WRAP)
        data = bytes(self.page[HALF + (consumer + at) % HALF] for at in range(count))
        self.words[RSP_CONS] = (consumer + count) % WRAP
        return data


pieces = st.lists(st.tuples(st.booleans(), st.integers(0, 1500), st.integers(0, 1500)), max_size=12)


@given(indexes, pieces)
def test_bytes_come_out_as_they_went_in_wherever_the_indexes_are(start, steps):
    guest = Guest(start)
    sent, got, count = b"", b"", 0
    for to_daemon, size, most in steps:
        data = bytes((count + at) % 251 for at in range(size))
        if to_daemon:
            sent += guest.put(data)
            assert guest.ring.waiting() <= HALF
            got += take(guest.ring, most)
        else:
            before = guest.ring.room()
            moved = put(guest.ring, data)
            assert moved == min(size, before)
            assert guest.take(moved) == data[:moved]
        count += size
    got += take(guest.ring, HALF)
    assert got == sent


@given(st.lists(st.integers(0, WRAP - 1), min_size=4, max_size=4), st.binary(max_size=30))
def test_wrong_indexes_are_refused_and_nothing_moves(words, data):
    guest = Guest()
    guest.words[REQ_CONS : REQ_CONS + 4] = memoryview(bytearray(16)).cast("I")
    for index, word in zip((REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD), words, strict=True):
        guest.words[index] = word
    before = bytes(guest.page)
    for producer, consumer, ask in ((words[1], words[0], take), (words[3], words[2], put)):
        if (producer - consumer) % WRAP > HALF:
            with pytest.raises(RingError) as raised:
                ask(guest.ring, 10 if ask is take else data)
            assert raised.value.code == BAD_INDEX
            assert bytes(guest.page) == before


def test_a_full_ring_is_legal():
    guest = Guest(WRAP - 5)
    assert len(guest.put(bytes(2000))) == HALF
    assert guest.ring.waiting() == HALF
    assert put(guest.ring, bytes(2000)) == HALF
    assert put(guest.ring, b"x") == 0
    assert guest.ring.room() == 0
    assert len(take(guest.ring, 4096)) == HALF


def test_beginning_anew():
    guest = Guest(77)
    guest.put(b"abc")
    guest.words[CONNECTION] = 1
    guest.ring.fail(3)
    assert guest.words[ERROR] == 3
    assert guest.ring.wants_reconnection
    guest.ring.offer(15)
    guest.ring.begin()
    assert not guest.ring.wants_reconnection
    assert [guest.words[index] for index in range(REQ_CONS, PORT)] == [0, 0, 0, 0, 15, 0, 0]
    assert guest.ring.waiting() == 0


def test_a_page_of_another_size_is_refused():
    with pytest.raises(ValueError, match="4096"):
        Ring(memoryview(bytearray(100)))


def test_what_was_taken_does_not_change_with_the_page():
    guest = Guest()
    guest.put(b"request")
    taken = take(guest.ring, HALF)
    guest.page[:7] = b"changed"
    assert taken == b"request"
