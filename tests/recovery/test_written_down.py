"""What is written down, and what a reader makes of it when it is torn."""

import os
import socket

from hypothesis import given
from hypothesis import strategies as st

import rrdstore
from tests.compat.peers import short_directory
from tests.daemon.processes import until
from xsadapter.engine.daemon import Daemon
from xsadapter.recovery import log
from xsadapter.recovery.keeping import OwnKeeper
from xsadapter.recovery.turn import Turn, decoded, encoded
from xsadapter.recovery.words import DONE, RECEIVED, ROOM, Words
from xsadapter.transport.stream import StreamClient

paths = st.text("abc/", max_size=30)
changes = st.tuples(
    st.integers(0, 2**63),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.tuples(*[st.integers(0, 2**32 - 1)] * 3),
    st.binary(max_size=60),
    st.lists(st.tuples(paths, st.booleans()), max_size=4).map(tuple),
)


@given(changes)
def test_a_change_is_read_as_it_was_written(change):
    found = decoded(encoded(*change))
    assert (found.before, found.serial, found.done, found.start, found.asked, found.output, found.effects) == change


def test_changes_end_at_the_first_that_is_not_whole(tmp_path):
    words = Words(tmp_path / "words", 1)
    turn = Turn(words)
    ends = []
    for number in range(5):
        assert turn.append(encoded(number, 1, 2, 3, (11, 1, 0), b"out", (("/a", False),)))
        ends.append(turn.at)
    assert [change.before for change in Turn(words)] == list(range(5))
    turn.take_back()
    assert [change.before for change in Turn(words)] == list(range(4))
    words.bytes[790528 + ends[2] + 20] ^= 1
    assert [change.before for change in Turn(words)] == [0, 1, 2]
    turn.forget()
    assert list(Turn(words)) == []
    words.close()


def test_of_a_log_that_is_cut_anywhere_whole_lines_count(tmp_path):
    written = log.Log(tmp_path / log.NAME, 3, "boot", [["limits", {"nodes": 7}]])
    for serial in range(1, 4):
        written.append(
            [["connection", serial, 0, "p", True, 0, False, 1, []], ["watch", serial, "/a", "t", None, False]]
        )
    written.close()
    whole = (tmp_path / log.NAME).read_bytes()
    for size in range(len(whole) + 1):
        (tmp_path / log.NAME).write_bytes(whole[:size])
        found = log.read(tmp_path / log.NAME)
        lines = whole[:size].count(b"\n")
        assert (found is None) == (lines == 0)
        if found is not None:
            assert len(found.connections) == len(found.watches) == max(0, lines - 2)
    (tmp_path / log.NAME).write_bytes(whole.replace(b'"p"', b'"q"', 1))
    assert log.read(tmp_path / log.NAME).connections == {}


def test_a_room_is_used_again_only_beyond_what_is_done(tmp_path):
    words = Words(tmp_path / "words", 1)
    room = words.take(9)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    daemon = Daemon(rrdstore.memory())
    client = StreamClient(daemon, ours, daemon.connect("peer"), None)
    client.room = room
    first, more = bytes(range(256)) * (ROOM // 256), b"m" * 200
    theirs.sendall(first + more)
    assert client.receive()
    assert room.waiting() == first
    assert client.receive() is False
    assert room.get(RECEIVED) == ROOM
    room.set(DONE, 100)
    assert client.receive()
    assert room.waiting() == first[100:] + more[:100]
    assert client.receive() is False
    room.set(DONE, ROOM - 50)
    assert client.receive()
    assert room.waiting() == first[-50:] + more
    assert client.connection.input == first + more
    assert words.call == 0
    ours.close()
    theirs.close()
    assert set(words.rooms()) == {9}
    words.give_back(room)
    assert words.rooms() == {}
    words.close()


def test_a_keeper_that_is_killed_is_followed_by_another_that_is_given_everything():
    with short_directory() as directory:
        ours, theirs = socket.socketpair()
        keeping = OwnKeeper(directory)
        keeping.hold("client 1", theirs.fileno())
        child = keeping._child
        child.kill()
        child.wait()
        for _ in range(2):  # The first look finds what it said when it came.
            keeping.died()
        assert keeping._child is not child
        keeping._socket.close()
        theirs.close()
        until(lambda: _found(directory, keeping), "a keeper that has it")
        os.write(keeping.found["client 1"], b"still here")
        assert ours.recv(20) == b"still here"
        os.close(keeping.found["client 1"])
        keeping.end()
        ours.close()


def _found(directory, keeping):
    """Whether the keeper has got to what it was given; it serves one daemon at a time."""
    try:
        reached = keeping._connect()
    except ConnectionRefusedError:
        return False
    if reached is None:
        return False
    if "client 1" not in keeping.found:
        reached.close()
        return False
    keeping._socket = reached
    return True
