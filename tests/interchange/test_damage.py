"""What is no dump makes nothing, and says which line is at fault."""

from __future__ import annotations

import base64
import json

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

import rrdstore
from rrdstore import interchange
from rrdstore.testing import ManualClock


def example():
    with rrdstore.memory("last:8 1m:1h *:4") as store:
        main = store.branch("main")
        main.set("/a/b", b"1", meta=b"\xff")
        main.remove("/a/b")
        main.fork("work")
        store.tag("t", main.head)
        store.pin(main.head)
        lines: list[str] = []
        interchange.dump(store, lines.append)
        return lines


def recorded():
    clock = ManualClock()
    with rrdstore.memory("last:2 1s:4 1M:2", series=["/n/*:2"], clock=clock) as store:
        for value in (b"1", b"nan", b"2.5", b"-1e99", b"1e999", b"\xff", b"7" * 40):
            store.branch("main").set("/n/a", value)
            clock.advance(1.5)
        lines: list[str] = []
        interchange.dump(store, lines.append)
        return lines


LINES, RECORDED = example(), recorded()
FIELDS = [(LINES, at, name) for at, line in enumerate(LINES[:-1]) for name in json.loads(line)]
FIELDS += [(RECORDED, at, name) for at, line in enumerate(RECORDED[:-1]) if at > 3 for name in json.loads(line)]
SMALL = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.floats(allow_nan=False)
VALUES = st.recursive(SMALL, lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=2), some))


def proved(lines):
    """The lines with an end that fits them: whatever else is wrong with them has to be seen for itself."""
    text = "".join(lines)
    return [*lines, json.dumps({"end": len(lines), "blake3": blake3(text.encode()).hexdigest()}) + "\n"]


def test_the_example_is_a_dump():
    assert interchange.load(LINES).tags.keys() == {"t"}
    assert interchange.load(proved(LINES[:-1])).pins


def changed(where, value):
    """A proved dump in which one field is another."""
    lines, at, name = where
    line = json.loads(lines[at])
    line[name] = value
    return proved([*lines[:at], json.dumps(line) + "\n", *lines[at + 1 : -1]])


@given(st.sampled_from(FIELDS), VALUES)
def test_a_field_that_cannot_be_is_an_error_and_nothing_else(where, value):
    lines = changed(where, value)
    try:
        interchange.load(lines).close()
    except rrdstore.StoreError:
        return
    # What was accepted is as good as what was dumped: it goes through once more.
    again: list[str] = []
    with interchange.load(lines) as store:
        interchange.dump(store, again.append)
    interchange.load(again).close()


@given(st.sampled_from(FIELDS), VALUES | st.integers(-(1 << 70), 1 << 70))
@settings(max_examples=30)
def test_a_file_is_made_of_it_or_none_is(tmp_path_factory, where, value):
    folder = tmp_path_factory.mktemp("restored")
    try:
        with interchange.restore(folder / "a.rrdb", changed(where, value), "3MiB") as made:
            assert made.check() == []
    except rrdstore.StoreError:
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("time", 0), ("epoch", 0)])
def test_a_commit_before_the_one_before_it_is_told(name, value):
    at = max(at for at, line in enumerate(RECORDED) if line.startswith('{"commit"'))
    with pytest.raises(rrdstore.Corrupt):
        interchange.load(changed((RECORDED, at, name), value))


def test_a_commit_of_no_branch_and_no_parents_is_told():
    at = min(at for at, line in enumerate(RECORDED) if line.startswith('{"commit"'))
    lines = changed((RECORDED, at, "parents"), [])
    interchange.load(lines).close()
    with pytest.raises(rrdstore.Corrupt):
        interchange.load(changed((lines, at, "branch"), 0))


NUMBERS = st.sampled_from([-1, 0, 1, 2, 1 << 31, 1 << 64, 10**400, None, 0.5, float("nan"), float("inf"), "1", True])


@given(st.lists(st.lists(NUMBERS, min_size=7, max_size=7), max_size=3))
def test_cells_that_cannot_be_are_an_error_and_nothing_else(cells):
    at = next(at for at, line in enumerate(RECORDED) if line.startswith('{"column"'))
    try:
        with interchange.load(changed((RECORDED, at, "cells"), cells)) as store:
            store.series("/n/*")
    except rrdstore.Corrupt as error:
        said = str(error)
    else:
        return
    assert f"line {at + 1}, cells" in said


@given(st.data())
def test_a_record_of_a_column_that_cannot_be_is_an_error_and_nothing_else(data):
    at = next(at for at, line in enumerate(RECORDED) if line.startswith('{"column"'))
    record = bytearray(base64.b64decode(json.loads(RECORDED[at])["record"]))
    for place in data.draw(st.lists(st.integers(0, len(record) - 1), min_size=1, max_size=8)):
        record[place] = data.draw(st.sampled_from([0, 1, 127, 128, 255]))
    try:
        with interchange.load(changed((RECORDED, at, "record"), base64.b64encode(record).decode())) as store:
            store.series("/n/*")
            store.branch("main").set("/n/a", b"1")
    except rrdstore.StoreError:
        pass


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "line 1: found the end of the text"),
        (["\n"], "line 1: found no JSON"),
        (["PK\x03\x04\ufffd\n"], "line 1: found no JSON"),
        (["[1, 2]\n"], "line 1: found [1, 2], expected a line of one of the kinds rrdstore"),
        (['{"name": "a"}\n'], 'line 1: found {"name": "a"}, expected a line of one of the kinds rrdstore'),
        (["[" * 100_000], "line 1: found no JSON"),
        (['{"rrdstore": ' + "9" * 5000 + "}"], "line 1: found no JSON"),
        (LINES[1:], "line 1: found a line 'commit', expected a line 'rrdstore'"),
    ],
)
def test_what_is_no_dump(lines, said):
    with pytest.raises(rrdstore.Corrupt) as caught:
        interchange.load(lines)
    assert said in str(caught.value)


@pytest.mark.parametrize("at", range(len(LINES)))
def test_a_line_that_is_missing_or_doubled(at):
    for lines in ([*LINES[:at], *LINES[at + 1 :]], [*LINES[:at], LINES[at], *LINES[at:]]):
        with pytest.raises(rrdstore.Corrupt, match="line"):
            interchange.load(lines)


@given(st.integers(0, sum(map(len, LINES)) - 1))
def test_a_character_that_is_not_what_was_written(at):
    text = "".join(LINES)
    other = "x" if text[at] != "x" else "y"
    changed = (text[:at] + other + text[at + 1 :]).splitlines(keepends=True)
    with pytest.raises(rrdstore.Corrupt):
        interchange.load(changed)


def test_a_dump_that_was_cut():
    text = "".join(LINES)
    for length in range(len(text) - 1):
        with pytest.raises(rrdstore.Corrupt):
            interchange.load(text[:length].splitlines(keepends=True))


@pytest.mark.parametrize(
    ("at", "change", "said"),
    [
        (0, {"format": 2}, "line 1, format: found 2, expected 1, which is all this version reads"),
        (0, {"format": 2, "more": 3}, "line 1, format: found 2, expected 1"),
        (0, {"rrdstore": "other"}, "line 1, rrdstore: found other, expected dump"),
        (0, {"more": 3}, "line 1, more: found 3, expected no such field"),
        (0, {"epoch": 1 << 32}, "line 1, epoch: found 4294967296, expected a whole number from 0 to 4294967295"),
        (0, {"uuid": "00"}, "line 1, uuid: found 1 bytes, expected 16 as hex"),
        (1, {"commit": "1-00000000"}, "line 2, commit: found 1-00000000"),
        (1, {"set": [["a", "", "", 0, 1]]}, "line 2, set: found path 'a': does not start with '/'"),
        (1, {"removed": ["/none"]}, "line 2, removed: found"),
        (2, {"grafts": [7]}, "line 3, grafts: found commit 7, expected one of the lines before"),
        (2, {"author": "x" * 41}, "line 3, author: found"),
        (2, {"authors": {"a": 9}}, "line 3, authors: found 1 of 9 commits, expected at most 8 of 1"),
        (2, {"parents": [[1, -1]]}, "line 3, epoch: found -1"),
        (4, {"id": 7}, "line 5, id: found 7, expected 1 to 2, each once"),
        (4, {"branch": "a\nb"}, "line 5, branch: found"),
        (6, {"tag": ""}, "line 7, tag: found"),
        (6, {"commit": 9}, "line 7, commit: found commit 9"),
        (7, {"pin": 9}, "line 8, pin: found commit 9"),
        (4, {"digest": "00"}, "line 5, digest: found"),
        (4, {"rings": "AAAA"}, "line 5, rings: found state of the tiers"),
        (4, {"keep": "all:1d"}, "line 5, keep: found policy 'all:1d'"),
    ],
)
def test_the_error_names_the_line(at, change, said):
    line = json.loads(LINES[at]) | change
    with pytest.raises(rrdstore.StoreError) as caught:
        interchange.load(proved([*LINES[:at], json.dumps(line) + "\n", *LINES[at + 1 : -1]]))
    assert said in str(caught.value)
