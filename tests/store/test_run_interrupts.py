"""Ctrl-C between any two lines of a commit by a spot: what is here, and what the journal has, is before or after it."""

import sys
from pathlib import Path

import pytest

import rrdstore
from rrdstore.testing import ManualClock

OURS = str(Path(rrdstore.__file__).parent)
PATH = "/local/domain/7/device/vbd/51712/state"
OTHERS = [f"/local/domain/{n}/device/vbd/51712/state" for n in range(60)]


def interrupted_at(line, act):
    """Have KeyboardInterrupt raised before the line of ours that is the `line`th to run; whether there were so many."""
    left = line

    def trace(frame, event, _):
        nonlocal left
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        act()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.skipif(rrdstore.BUILD == "compiled", reason="compiled lines are not Python's")
@pytest.mark.parametrize(
    ("in_file", "how"),
    [
        (False, "in place"),
        (False, "copied"),
        (True, "in place"),
        (True, "copied"),
        # In memory alone, where nothing says what there was, history that was told of half a commit is not taken back.
        (True, "closes"),
    ],
)
def test_a_commit_that_is_interrupted_anywhere_is_made_or_not(tmp_path, in_file, how):
    clock, line, told = ManualClock(), 0, set()
    keep = "last:5 1s:1m"
    if in_file:
        store = rrdstore.create(tmp_path / "s.rrdb", "8MiB", keep, sync="none", clock=clock)
    else:
        store = rrdstore.memory(keep, clock=clock)
    with store:
        main = store.branch("main")
        for path in OTHERS:
            main.set(path, b"")
        going = True
        while going:
            for n in range(3):
                main.set(PATH, b"%d before %d" % (line, n))
            if how == "copied":
                _ = main.tree
            elif how == "closes":
                clock.advance(1)
                main.set(OTHERS[0], b"%d" % line)
                clock.advance(1)
            spot, number, before = main.spot(tuple(PATH[1:].split("/"))), main.head.number, main.get(PATH)
            going = interrupted_at(line, lambda spot=spot, line=line: main.set_at(spot, b"%d after" % line))
            now = main.get(PATH), main.head.number
            assert now in {(before, number), (b"%d after" % line, number + 1)}
            told.add(now[1] - number)
            if in_file:
                with rrdstore.open(tmp_path / "s.rrdb", readonly=True, clock=clock) as other:
                    seen = other.branch("main")
                    assert (seen.get(PATH), seen.head.number) == now
            main.set(OTHERS[1], b"%d" % line)
            assert main.set(PATH, b"%d" % line).number == now[1] + 2
            assert main.at(str(now[1])).get(PATH) == now[0]
            newest = [one.number for one in main.log()][:4]
            assert newest == list(range(now[1] + 2, now[1] - 2, -1))
            line += 7 if how == "closes" else 1  # History has hundreds, and tests of its own.
            if not line % 8:
                store.tick()  # Else what the journal has is done again at each of them.
        assert line > 50, "it has more lines than that"
        assert told == {0, 1}
        assert store.check() == []
