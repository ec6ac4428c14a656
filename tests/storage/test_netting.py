"""Nets: a tick that is put off is in the journal in whole, or what was there before is, at every byte."""

import os
import shutil
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.errors import Corrupt
from rrdstore.storage import delta, journal, net, ringfile, rings
from rrdstore.storage import ring as ring_records
from rrdstore.storage.layout import plan
from rrdstore.storage.protocol import SeriesTick, Tick
from rrdstore.tree import edit
from tests.storage.conftest import SIZE, SLOTS
from tests.storage.past import content
from tests.storage.test_crash import lived
from tests.storage.test_journal import SIZE as RING
from tests.storage.test_journal import UUID, Opened, entry, path, recovered, stored

__all__ = ["path"]

NAMES = st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 90)).map(lambda pair: f"{pair[0]}{pair[1]}")
STEPS = st.lists(
    st.tuples(st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.one_of(st.none(), st.binary(max_size=300))),
    max_size=60,
)


def grown(root, steps, number):
    mark = edit.new_edit()
    for names, value in steps:
        if value is not None:
            root = edit.put(root, names, value, b"m" * (len(value) % 3), number, mark)
        elif edit.find(root, names) is not None:
            root = edit.remove(root, names, mark)
        number += 1
    return root


@given(STEPS, STEPS)
def test_a_tree_comes_back_from_what_it_has_different(before, after):
    beside = grown(edit.EMPTY, before, 1)
    root = grown(beside, after, 100)
    was = content(beside)
    assert content(delta.decode(delta.encode(root, beside), beside)) == content(root)
    assert content(delta.decode(delta.encode(root, None), None)) == content(root)
    assert content(beside) == was, "what was there has not changed"
    assert len(delta.encode(root, root)) == 3


def test_only_what_differs_is_in_it():
    beside = grown(edit.EMPTY, [((f"d{n % 40}", f"k{n}"), b"value" * 9) for n in range(2_000)], 1)
    root = grown(beside, [(("d3", "k3"), b"other")], 3_000)
    assert len(delta.encode(root, beside)) < 60
    assert list(delta.edits(delta.encode(root, beside))) == [(("d3", "k3"), b"other", b"mm")]


@pytest.mark.parametrize("seed", range(4))
def test_a_tick_that_is_put_off_is_what_the_next_opening_finds(tmp_path, seed):
    past = lived(str(tmp_path / "s.rrdb"), seed)
    storage = past.storage
    due = past.due()
    assert storage.put_off(due)
    whole = {record.number: content(record.root) for record in due.store}

    def same(one):
        found = one.put_off.due
        assert {n: content(record.root) for n, record in found.fresh.items()} == whole
        assert [record.number for record in found.gone] == [record.number for record in due.drop]
        assert {n: (r.thinned, r.grafts, r.authors) for n, r in found.changed.items()} == {
            r.number: (r.thinned, r.grafts, r.authors) for r in due.changed
        }
        assert (one.number, one.branches, one.tags, one.pins) == (due.number, list(due.branches), due.tags, due.pins)
        assert {record.number for record in one.commits} == set(past.contents)

    same(storage.state())
    storage.close()
    again, reader = (ringfile.open(str(tmp_path / "s.rrdb"), sync="none", readonly=only) for only in (False, True))
    same(again.state())
    same(reader.state())
    reader.close()
    assert again.check() == []
    # The tick itself, from what was read: the same as if it had not been put off.
    found = again.state().put_off.due
    again.tick(
        Tick(
            due.number, list(found.fresh.values()), found.gone, list(found.changed.values()), due.branches, {}, due.pins
        )
    )
    assert again.state().put_off is None
    assert {r.number: content(again.root(r)) for r in again.state().commits} == past.contents
    assert again.check() == []
    again.close()


def test_series_authors_and_all_numbers_come_back():
    tick = Tick(9, [], [], [], [], {}, frozenset({3, 4}), SeriesTick({7: b"c" * 40}, {2: b"record"}), 5)
    found = net.decode(net.encode(tick, [], plan(SIZE, SLOTS)))
    assert (found.number, found.line, found.pins, found.series) == (9, 5, {3, 4}, tick.series)


def test_bytes_that_are_no_net_are_named():
    whole = net.encode(Tick(9, [], [], [], [], {}, frozenset()), [], plan(SIZE, SLOTS))
    for damaged in (whole[:-9], whole[:10] + b"?" + whole[11:], b""):
        with pytest.raises(Corrupt):
            net.decode(damaged)


# In the ring


def test_a_net_takes_the_place_of_what_it_covers_and_appending_goes_on(path):
    with Opened(path) as ring:
        recovered(ring, 1)
        for number in range(1, 40):
            assert ring.append(entry(number, 700))
        assert not ring.put_off(os.urandom(RING * 3 // 4), gains=False, flush=False)
        assert not ring.put_off(os.urandom(ring.used * 5 // 8), gains=True, flush=False)
        assert len(recovered(ring, 1)) == 39
        data = os.urandom(9_000)
        assert ring.put_off(data, gains=True, flush=True)
        assert ring.used < 9_600
        for number in range(40, 80):
            assert ring.append(entry(number, 700))
        assert ring.put_off(data * 2, gains=True, flush=False)
        assert ring.append(entry(80))
    with Opened(path) as ring:
        assert [one.number for one in recovered(ring, 1)] == [80]
        assert ring.net == data * 2
        reader = rings.reader(path, RING, UUID)
        assert [one.number for one in recovered(reader, 1)] == [80]
        assert reader.net == data * 2
        assert reader.verified(1, ring_records.START)[:2] == ([entry(80)], data * 2)
        reader.close()
        stored(ring)
        assert ring.used == 0
        assert ring.append(entry(81))
        assert recovered(ring, 4) == [entry(81)]
        assert ring.net == b""


def test_killed_at_every_store_of_a_net_one_or_the_other_counts(path, monkeypatch):
    """Each write of the mapped file in turn is the last that happens, at both ends of the ring."""
    for turns in (20, 70):
        data = os.urandom(7_000)
        done = 0
        for last in range(200):
            with Opened(path) as ring:
                ring.reset(1)
                ring._words[7] = 0
                for number in range(1, turns):
                    if number == turns // 2:
                        ring.cut()
                    if number == turns // 2 + 3:
                        where = ring.rest()
                        ring.reset(*where)
                    assert ring.append(entry(number, 700))
                before = [one.number for one in recovered(ring, *where)]
                assert len(before) > 3
                ended = _killed(ring, last, data)
            with Opened(path) as ring:
                found = [one.number for one in recovered(ring, *where)]
                assert (found, ring.net) in ((before, b""), ([], data))
                assert ring.append(entry(900))
                done += ring.net == data
            with Opened(path) as ring:
                assert [one.number for one in recovered(ring, *where)] == [*found, 900]
            if ended:
                break
        assert ended
        assert 0 < done < last


class _Killed(Exception):
    pass


def _killed(ring, last, data):
    """Put a net off, and end before the store after `last`; whether it came to its end."""
    left = [last]

    class Counted:
        def __init__(self, inner):
            self.inner = inner

        def __getitem__(self, key):
            return self.inner[key]

        def __setitem__(self, key, value):
            left[0] -= 1
            if left[0] < 0:
                raise _Killed
            self.inner[key] = value

    names = ("_words", "_head", "_view")
    whole = {name: getattr(ring, name) for name in names}
    for name in names[:2]:
        setattr(ring, name, Counted(whole[name]))
    try:
        assert ring.put_off(data, gains=False, flush=False)
    except _Killed:
        return False
    finally:
        for name in names:
            setattr(ring, name, whole[name])
    return True


def test_a_damaged_net_is_named_and_after_a_start_of_the_machine_passed_over(path, monkeypatch):
    with Opened(path) as ring:
        recovered(ring, 1)
        for number in range(1, 8):
            assert ring.append(entry(number))
        begin = ring._at
        assert ring.put_off(os.urandom(3_000), gains=False, flush=False)
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: begin + 100] + b"???" + whole[begin + 103 :])
    shutil.copyfile(path, path + "-copy")
    with Opened(path) as ring:
        assert ring.recover(1)[1].where == path
    now = journal.boot()
    monkeypatch.setattr(journal, "boot", lambda: now + 1)
    with Opened(path) as ring:
        assert [one.number for one in recovered(ring, 1)] == list(range(1, 8))
        assert ring.net == b""
        assert ring.append(entry(8))
    with Opened(path) as ring:
        assert [one.number for one in recovered(ring, 1)] == list(range(1, 9))


def test_random_nets_entries_and_openings(path):
    """The oracle is a list: what the net said, and the entries since."""
    random = Random(5)
    with Opened(path) as ring:
        recovered(ring, 1)
    said, since, number = b"", [], 0
    for _ in range(60):
        with Opened(path) as ring:
            assert [one.number for one in recovered(ring, 1)] == since
            assert ring.net == said
            for _ in range(random.randrange(30)):
                number += 1
                if ring.append(entry(number, random.randrange(900))):
                    since.append(number)
                else:
                    data = random.randbytes(random.randrange(1, 12_000))
                    if ring.put_off(data, gains=False, flush=False):
                        said, since = data, []
                    else:
                        ring.put_off(b"small", gains=False, flush=False)
                        said, since = (b"small", []) if ring.used < 200 else (said, since)
