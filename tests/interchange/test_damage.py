"""What is no dump makes nothing, and says which line is at fault."""

from __future__ import annotations

import json

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

import rrdstore
from rrdstore import interchange


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


LINES = example()
FIELDS = [(at, name) for at, line in enumerate(LINES[:-1]) for name in json.loads(line)]
SMALL = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.floats(allow_nan=False)
VALUES = st.recursive(SMALL, lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=2), some))


def proved(lines):
    """The lines with an end that fits them: whatever else is wrong with them has to be seen for itself."""
    text = "".join(lines)
    return [*lines, json.dumps({"end": len(lines), "blake3": blake3(text.encode()).hexdigest()}) + "\n"]


def test_the_example_is_a_dump():
    assert interchange.load(LINES).tags.keys() == {"t"}
    assert interchange.load(proved(LINES[:-1])).pins


@given(st.sampled_from(FIELDS), VALUES)
def test_a_field_that_cannot_be_is_an_error_and_nothing_else(where, value):
    at, name = where
    line = json.loads(LINES[at])
    line[name] = value
    lines = proved([*LINES[:at], json.dumps(line) + "\n", *LINES[at + 1 : -1]])
    try:
        interchange.load(lines).close()
    except rrdstore.StoreError:
        return
    # What was accepted is as good as what was dumped: it goes through once more.
    again: list[str] = []
    with interchange.load(lines) as store:
        interchange.dump(store, again.append)
    interchange.load(again).close()


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
        (0, {"format": 2}, "line 1: found format: ('dump', 2), expected ('dump', 1)"),
        (0, {"uuid": "00"}, "line 1: found bytes of the uuid: 1, expected 16"),
        (1, {"commit": "1-00000000"}, "line 2: found commit: 1-00000000"),
        (1, {"set": [["a", "", "", 0, 1]]}, "line 2: found path 'a': does not start with '/'"),
        (1, {"removed": ["/none"]}, "line 2: found removed"),
        (2, {"grafts": [7]}, "line 3: found commit 7, expected one of the lines before"),
        (2, {"author": "x" * 41}, "line 3: found author"),
        (4, {"digest": "00"}, "line 5: found digest"),
        (4, {"rings": "AAAA"}, "state of the tiers"),
        (4, {"keep": "all:1d"}, "policy 'all:1d'"),
    ],
)
def test_the_error_names_the_line(at, change, said):
    line = json.loads(LINES[at]) | change
    with pytest.raises(rrdstore.StoreError) as caught:
        interchange.load(proved([*LINES[:at], json.dumps(line) + "\n", *LINES[at + 1 : -1]]))
    assert said in str(caught.value)
