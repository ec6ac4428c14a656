"""The live status: what the lines say, and how they are painted over."""

import io
import logging
import re

import pytest

import rrdstore
from tests.daemon.conversation import Peer, fresh_daemon
from xsadapter.cli.status import Figures, LogAbove, Status, lines, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (61, "1m 1s"), (7500, "2h 5m"), (86400 * 30, "4w 2d"), (86400 * 366, "1y 1d")],
)
def test_spans(seconds, text):
    assert span(seconds) == text


def figures(info):
    return Figures(clients=3, watches=1200, operations_a_second=15000.4, commits_a_second=20, info=info)


def test_a_store_in_memory():
    store = rrdstore.memory(keep="last:4 1s:5m")
    for number in range(6):
        store.branch("main").set("/a", b"%d" % number)
    shown = lines(figures(store.info()))
    assert shown[0] == "clients 3   watches 1200   15,000 operations/s   20 commits/s"
    assert shown[1].startswith(f"commits {store.info().commits} made, {store.info().kept} kept of at most ")
    assert shown[2].split()[:3] == ["last:4", "[####################]", "4/4"]
    assert shown[3].split()[0] == "1s:5m"
    assert shown[-1] == "  in memory: nothing is stored"


def test_a_store_with_a_size():
    info = rrdstore.memory().info()
    sized = type(info)(
        **{name: getattr(info, name) for name in info.__slots__}
        | {"size": 2**26, "used": 2**26, "room": 2**25, "live": 2**24}
    )
    assert [line.split()[0] for line in lines(figures(sized))[-2:]] == ["bytes", "objects"]
    assert lines(figures(sized))[-2].endswith("[####################] 64.0 MiB of 64.0 MiB")
    assert lines(figures(sized))[-1].endswith("[##########..........] 16.0 MiB of 32.0 MiB")


def test_it_is_painted_over_and_rates_are_of_the_time_between():
    daemon, terminal = fresh_daemon(), io.StringIO()
    peer = Peer(daemon)
    paint = Status(terminal).painter(daemon)
    paint(100.0)
    first = terminal.getvalue()
    assert "0 operations/s" in first
    height = first.count("\n")
    for _ in range(20):
        peer.ask("WRITE", b"/a\0v")
    paint(102.0)
    second = terminal.getvalue()[len(first) :]
    assert second.startswith(f"\x1b[{height}F")
    assert "10 operations/s   10 commits/s" in second


def test_log_lines_take_the_place_of_the_status_and_stay():
    daemon, terminal = fresh_daemon(), io.StringIO()
    status = Status(terminal)
    logger = logging.Logger("test")
    logger.addHandler(LogAbove(status))
    paint = status.painter(daemon)
    logger.warning("first")
    paint(100.0)
    logger.warning("second")
    paint(101.0)
    first, second, status_line, *rest = screen(terminal.getvalue())
    assert (first, second) == ("first", "second")
    assert status_line.startswith("clients ")
    assert not [line for line in rest if line.startswith("clients ")]


def screen(written):
    """What a terminal shows after this."""
    shown, row = [""], 0
    for piece in re.split(r"(\x1b\[\d*[A-Za-z]|\n)", written):
        if piece == "\n":
            row += 1
            shown += [""] * (row + 1 - len(shown))
        elif piece.endswith("F") and piece.startswith("\x1b"):
            row -= int(piece[2:-1])
        elif piece == "\x1b[J":
            del shown[row:]
            shown.append("")
        elif piece == "\x1b[2K":
            shown[row] = ""
        elif not piece.startswith("\x1b"):
            shown[row] += piece
    return shown
