"""A row of WRITEs whose daemon is killed between any two steps: each is done once and answered once, and told."""

import os
import select
import signal
import subprocess
import sys
from contextlib import ExitStack, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compat.peers import short_directory
from tests.daemon.conversation import NUMBERS, Peer, fresh_daemon, pair
from tests.daemon.processes import ROOT, environment
from tests.recovery.mortal import ARMED
from tests.recovery.talkers import PATIENCE, SocketTalker
from xsadapter.engine.plain import in_a_row
from xsadapter.recovery import left
from xsadapter.recovery.journal import Journal
from xsadapter.recovery.turn import Change, Row, Turn, encoded
from xsadapter.recovery.words import CHANGES, MAGIC, Words
from xsadapter.wire import HEADER, pack

OK = b"OK\0"
WRITE = 11


class Nursery:
    """Daemons of one directory, one after the other."""

    def __init__(self, directory):
        (directory / "xen").mkdir()
        self._steps, self._log = directory / "steps", (directory / "log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.recovery.nursery", str(directory), str(directory / "xen")],
            cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        self.start()

    def start(self):
        self._say("start")
        self._pid = int(self._process.stdout.readline())
        self._lives = os.pidfd_open(self._pid)
        assert self._process.stdout.readline().startswith("ready")

    def arm(self, steps):
        """Have it die after so many steps, or not at all; whether it has not died already."""
        self._steps.write_text(str(steps))
        os.kill(self._pid, ARMED)
        ready, _, _ = select.select([self._lives, self._process.stdout], [], [], PATIENCE)
        assert ready, "it neither hears nor dies"
        if self._process.stdout not in ready:
            return False
        assert self._process.stdout.readline() == "armed\n"
        return True

    def exchange(self, talker, asked):
        """The answers, and whether the daemon died of it; then another one has gone on."""
        talker.send(b"".join(pack(NUMBERS[each[0]], at, 0, each[1]) for at, each in enumerate(asked)))
        died, answers = False, []
        while len(answers) < len(asked):
            ready, _, _ = select.select([self._lives, talker._socket], [], [], PATIENCE)
            assert ready, "nobody answers"
            if self._lives in ready:
                died = True
                self._again()
            else:
                talker._left += talker._socket.recv(65536)
                while _whole(talker._left):
                    message = talker.message()
                    if message.kind == "EVENT":
                        talker.events.append(pair(message))
                    else:
                        assert (message.kind, message.request) == (asked[len(answers)][0], len(answers))
                        answers.append(message.payload)
        if not self.arm(0):
            died = True
            self._again()
        return answers, died

    def _again(self):
        self.reap()
        self.start()

    def reap(self):
        self._say("reap")
        assert self._process.stdout.readline() == "reaped\n"
        os.close(self._lives)

    def _say(self, line):
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def close(self):
        with self._process:
            os.kill(self._pid, signal.SIGKILL)
            self.reap()
        self._log.close()


def _whole(data):
    return len(data) >= HEADER.size and len(data) >= HEADER.size + HEADER.unpack_from(data)[3]


def batch(number):
    """What is asked at once, with its answers."""
    home, own = b"/r%d/" % number, b"%d" % number
    return [
        ("WRITE", b"/there/0\0" + own, OK),
        ("WRITE", b"/there/1\0" + own, OK),
        ("READ", b"/there/0\0", own),
        ("WRITE", home + b"new\0x", OK),
        ("WRITE", home + b"new\0y", OK),
        ("WRITE", b"/there\0no small leaf " + own, OK),
        ("WRITE", b"/own/0\0" + own, OK),
        ("WRITE", home + b"deep/er\0", OK),
        ("RM", b"/r%d/deep\0" % (number - 1), OK),
        ("READ", home + b"new\0", b"y"),
        ("WRITE", b"/there/0\0last", OK),
        ("GET_DOMAIN_PATH", b"1\0", b"/local/domain/1\0"),
    ]


def test_killed_between_any_two_steps_each_write_is_done_once_answered_once_and_told():
    with short_directory() as directory, ExitStack() as undo:
        nursery = Nursery(directory)
        undo.callback(nursery.close)
        client, watcher = (undo.enter_context(closing(SocketTalker(directory / "socket"))) for _ in range(2))
        for path in (b"/there/0", b"/there/1", b"/own/0", b"/r0/deep/er"):
            assert client.ask("WRITE", path + b"\0old") == OK
        assert client.ask("WATCH", b"/own\0mine\0") == OK
        assert watcher.ask("WATCH", b"/\0all\0") == OK
        # Behind the event of a registration.
        for each in (client, watcher):
            assert each.ask("READ", b"/there/0\0") == b"old"
        steps = 1
        while _goes_on(nursery, client, watcher, steps):
            steps += 1
        assert steps > 2 * 11 + 6, "announced, made and sent"


def _log(watcher):
    return watcher.ask("CONTROL", b"history\0log\0/\x0020\0").decode().splitlines()


def _goes_on(nursery, client, watcher, number):
    """Whether the daemon died of the batch; either way all of it was done, by it or by the next one."""
    asked, before = batch(number), int(_log(watcher)[0].partition("-")[0])
    del client.events[:], watcher.events[:]
    assert nursery.arm(number)
    answers, died = nursery.exchange(client, asked)
    assert answers == [answer for _, _, answer in asked], number
    changed = [(kind, payload.partition(b"\0")[0]) for kind, payload, _ in asked if kind in {"WRITE", "RM"}]
    log = _log(watcher)
    made = [line.rpartition(": ")[2] for line in reversed(log)]
    wanted = [f"{kind} {path.decode()}" for kind, path in changed]
    assert made[-len(wanted) :] == wanted, (number, log)
    assert int(log[0].partition("-")[0]) == before + len(wanted), "each once"
    # One that waits already is not queued again.
    assert list(dict.fromkeys(watcher.events)) == [
        (path, b"all") for path in dict.fromkeys(path for _, path in changed)
    ]
    assert client.events
    assert set(client.events) == {(b"/own/0", b"mine")}
    return died


@given(
    st.lists(st.tuples(st.sampled_from([b"/a", b"/a/b"]), st.binary(max_size=9), st.integers(0, 9)), max_size=5),
    st.integers(0, 7), st.integers(0, 7), st.binary(max_size=30), st.binary(max_size=20),
)  # fmt: skip
def test_a_row_is_read_as_the_changes_it_was(writes, made, head, output, behind):
    stream, ends = b"", []
    for path, value, request in writes:
        stream += pack(WRITE, request, 0, path + b"\0" + value)
        ends.append(100 + len(stream))
    row = Row(7, 3, 0, 100, 50, made, output)
    found = list(row.changes(stream + pack(2, 0, 0, b"/a\0") + behind, 7 + head))
    assert len(found) == min(made or head, len(writes))
    for at, change in enumerate(found):
        path, _, request = writes[at]
        before = output if not at else pack(WRITE, writes[at - 1][2], 0, OK)
        start = 50 + (len(output) + 19 * (at - 1) if at else 0)
        assert change == Change(
            7 + at, 3, ends[at], start, (WRITE, request, 0), before, ((path.decode(), False),)
        )  # fmt: skip


def test_rows_lie_among_changes_and_end_where_they_are_taken_back(tmp_path):
    words = Words(tmp_path / "words", 1)
    turn = Turn(words)
    assert turn.append(encoded(0, 1, 2, 3, (11, 1, 0), b"out", (("/a", False),)))
    assert turn.row(1, 5, 6, 7, 8, b"")
    assert [*Turn(words)][1:] == [Row(1, 5, 6, 7, 8)]
    turn.ended(3)
    assert turn.row(4, 5, 6, 70, 80, b"waits")
    turn.ended(0)
    assert [*Turn(words)][1:] == [Row(1, 5, 6, 7, 8, 3)]
    assert turn.row(4, 5, 6, 70, 80, b"waits")
    turn.ended(1)
    assert turn.append(encoded(5, 1, 2, 3, (11, 1, 0), b"out", (("/a", False),)))
    assert [each.before for each in Turn(words)] == [0, 1, 4, 5]
    assert [*Turn(words)][2] == Row(4, 5, 6, 70, 80, 1, b"waits")
    turn.forget()
    assert [*Turn(words)] == []
    while turn.row(1, 2, 3, 4, 5, bytes(4096)):
        turn.ended(1)
    assert CHANGES - 3 * 4096 < turn.at <= CHANGES
    assert len({*Turn(words)}) == 1
    words.close()


def test_words_from_before_there_were_rows_are_read_and_gone_on_with(tmp_path):
    words = Words(tmp_path / "words", 1)
    words.bytes[:8] = b"xsaword1"
    words.close()
    again = Words(tmp_path / "words")
    assert bytes(again.bytes[:8]) == b"xsaword1"
    again.goes_on()
    assert bytes(again.bytes[:8]) == MAGIC
    again.close()


@pytest.mark.parametrize("free", [90, 150, 300, 700])
def test_what_was_answered_before_a_row_that_had_no_room_is_not_lost(tmp_path, free):
    daemon = fresh_daemon()
    peer = Peer(daemon)
    peer.ask("WRITE", b"/a\0" + b"v" * 500)
    connection = peer.connection
    asked = [("READ", b"/a\0"), ("WRITE", b"/a\0new"), ("READ", b"/a\0")]
    data = b"".join(pack(NUMBERS[kind], at, 0, payload) for at, (kind, payload) in enumerate(asked))
    journal = Journal(daemon, tmp_path, "boot", 1)
    journal.start()
    room = journal.words.take(connection.serial)
    room.put(data, connection.done, connection.written)
    connection.kept = room.number
    turn = journal._turn
    while (rest := CHANGES - turn.at - free) > 8:
        output = bytes(min(max(0, rest - 200), 60000))
        turn.append(encoded(1 << 60, 0, 0, 0, (0, 0, 0), output, (("/never", False),)))
    connection.reader.feed(data)
    while in_a_row(daemon, connection, 64) or daemon.step(connection):
        pass
    found = left.load(tmp_path, "boot", daemon.head.number)
    (known,) = found.state.connections
    answers = b"".join([*known.output, *(each.answer for each in found.told)])
    # The last of them is asked again.
    assert answers + pack(2, 2, 0, b"new") == b"".join(connection.output)
    assert known.input == pack(2, 2, 0, b"/a\0")
    journal.close()
    daemon.store.close()


@pytest.mark.parametrize("domid", [0, 5])
def test_what_a_row_told_who_does_not_read_outlives_a_kill_when_the_row_is_told(tmp_path, domid):
    daemon = fresh_daemon()
    peer, watcher = Peer(daemon), Peer(daemon, domid, privileged=not domid)
    journal = Journal(daemon, tmp_path, "boot", 1)
    journal.start()
    for path in (b"/a/0", b"/a/1"):
        peer.ask("WRITE", path + b"\0old")
        peer.ask("SET_PERMS", path + b"\0r0\0")
        peer.ask("READ", path + b"\0")
    watcher.ask("WATCH", b"/a\0token\0")
    for each in (peer, watcher):
        room = journal.words.take(each.connection.serial)
        room.put(b"", each.connection.done, each.connection.written)
        each.connection.kept = room.number
    journal.persist()
    journal.flushed()
    for path in (b"/a/0", b"/a/1"):
        peer.connection.reader.feed(pack(WRITE, 0, 0, path + b"\0new"))
        assert in_a_row(daemon, peer.connection, 64) == 1
        peer.connection.sent_all()
        if path == b"/a/0":
            journal.persist()
            journal.unsent(watcher.connection)
            journal.flushed()
        else:
            assert not daemon.flow.touched.any
            journal.told()
    found = left.load(tmp_path, "boot", daemon.head.number)
    (known,) = (each for each in found.state.connections if each.serial == watcher.connection.serial)
    assert not found.told
    assert b"".join(known.output) == b"".join(watcher.connection.output) != b""
    assert b"/a/1" in b"".join(known.output)
    journal.close()
    daemon.store.close()
