"""The floor of the load generator: that it is measured with the same answers as a daemon gives."""

import pytest

from bench.load.daemons import KINDS, LEAST, kinds
from bench.load.floor import answers
from bench.load.frames import ERROR, OK, READ, WATCH, WRITE, Client, Refused, frame, together
from bench.load.host import requests, settle, values
from tests.compat import peers


def test_it_answers_what_a_daemon_would():
    assert LEAST.key not in KINDS, "it takes part only if it is named"
    assert kinds([LEAST.key]) == [LEAST]
    with peers.short_directory() as place, LEAST.start(place, "1GiB") as target, Client(target) as client:
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
