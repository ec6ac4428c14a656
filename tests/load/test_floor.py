"""The floor of the load generator: that it is measured with the same answers as a daemon gives."""

from zlib import crc32

import pytest

from bench.load.daemons import KINDS, LEAST, LEAST_KEPT, kinds
from bench.load.floor import RECORD, Commits, answers
from bench.load.frames import ERROR, OK, READ, WATCH, WRITE, Client, Refused, frame, together
from bench.load.host import requests, settle, values
from tests.compat import peers


@pytest.mark.parametrize("least", [LEAST, LEAST_KEPT], ids=lambda kind: kind.key)
def test_it_answers_what_a_daemon_would(least):
    assert least.key not in KINDS, "it takes part only if it is named"
    assert kinds([least.key]) == [least]
    with peers.short_directory() as place, least.start(place, "1GiB") as target, Client(target) as client:
        settle(target, 2)
        path, value = next(iter(values(1)))
        assert client.ask(frame(READ, path)) == value
        client.exchange(together(requests(READ, 2, 64), 64))
        client.exchange(together(requests(WRITE, 2, 64), 64))
        assert client.ask(frame(READ, path)) in {value, value[::-1]}
        with pytest.raises(Refused, match="ENOENT"):
            client.ask(frame(READ, b"/nothing"))
        with Client(target) as watcher:
            watcher.ask(frame(WATCH, path, b"token"))
            client.ask(frame(WRITE, path, data=b"new"))
            client.ask(frame(READ, path))
            watcher.ask(frame(READ, path))
            assert list(watcher.events) == [path + b"\0token\0"] * 2
        assert client.ask(frame(WRITE, path, data=b"newer")) == b"OK\0", "whoever has gone is not told"


def test_what_is_not_whole_is_left():
    asked = frame(WRITE, b"/a", data=b"x") + frame(READ, b"/a")
    for end in range(len(asked)):
        tree = {}
        found, rest = answers(asked[:end], tree, {}, len)
        more, none = answers(rest + asked[end:], tree, {}, len)
        assert (len(b"".join(found + more)), none) == (OK + 17, b"")
    missing, _ = answers(frame(READ, b"/b"), {}, {}, len)
    assert missing[0][0] == ERROR


def test_each_write_is_in_the_journal_before_its_answer(tmp_path):
    commits, tree, check = Commits(str(tmp_path / "journal")), {b"/a\0": b"0"}, 0
    asked = [frame(WRITE, b"/a", data=b"%d" % each) for each in (1, 2)]
    answers(b"".join(asked), tree, {}, len, commits)
    at = 0
    for number, request in enumerate(asked, 1):
        payload = request[16:]
        check = crc32(payload, check)
        assert RECORD.unpack_from(commits.ring, at)[:3] == (len(payload), check, number)
        assert commits.ring[at + RECORD.size : at + RECORD.size + len(payload)] == payload
        at += RECORD.size + len(payload)
    assert [*commits.newest] == [(1, b"/a\0", b"0"), (2, b"/a\0", b"1")]
    commits.at = len(commits.ring) - 1
    answers(asked[0], tree, {}, len, commits)
    assert commits.at == RECORD.size + len(asked[0]) - 16, "it goes on at the start where the end is reached"
