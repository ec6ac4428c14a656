"""CONTROL where it is seldom asked: what is too large, gone, or of the daemon's own."""

import struct

import pytest

import rrdstore
from tests.daemon.conversation import Host, Peer
from xsadapter.engine.daemon import Daemon

OK = b"OK\0"


@pytest.fixture
def filed(tmp_path):
    """A client of a daemon on a file, which keeps little."""
    with rrdstore.create(tmp_path / "history.rrdb", size="16MiB", keep="last:4") as store:
        daemon = Daemon(store, Host())
        daemon.begin("boot")
        yield Peer(daemon)
        assert not [notice for notice in daemon.notices if notice.fault]


def history(peer, *words):
    reply = peer.ask("CONTROL", b"\0".join([b"history", *words]) + b"\0")
    return reply if isinstance(reply, str) else reply.rstrip(b"\n\0").decode()


def test_history_says_how_much_of_its_file_is_used(filed):
    assert "of 16777216" in history(filed, b"info")


def test_a_difference_leaves_out_what_is_the_daemons_own(filed):
    before = history(filed, b"commit", b"now").encode()
    filed.ask("WRITE", b"/a\0v")
    filed.ask("INTRODUCE", b"5\x001\x007\0")
    assert history(filed, b"diff", before, b"now") == "+ /a"
    before = history(filed, b"commit", b"now").encode()
    filed.ask("WRITE", b"/a\0w")
    assert history(filed, b"diff", before, b"now") == "! /a"
    filed.ask("RM", b"/a\0")
    assert history(filed, b"diff", b"now", before) == "+ /a"
    assert history(filed, b"diff", before, b"now") == "- /a"


def test_what_was_thinned_is_explained_by_what_is_left(filed):
    filed.ask("WRITE", b"/a\0v")
    gone = history(filed, b"commit", b"now").encode()
    for number in range(40):
        filed.ask("WRITE", b"/a\0%d" % number)
    assert "was thinned; nearest kept: " in history(filed, b"explain", gone)


def test_an_index_has_a_past_and_nobody_who_was_not_there(filed):
    filed.ask("WRITE", b"/local/domain/7/name\0web")
    assert history(filed, b"value", b"now", b"/@index/name/web") == "7"
    assert history(filed, b"value", b"now", b"/@index/name/db") == "ENOENT"


@pytest.mark.parametrize(
    "words",
    [
        (b"quota-soft", b"set", b"memory", b"0"),
        (b"quota-soft", b"set", b"nodes", b"5"),
        (b"quota-soft", b"set", b"\xff", b"5"),
        (b"quota-soft", b"get", b"memory"),
        (b"log", b"+\xff"),
        (b"log", b"?obj"),
        (b"log", b"+obj", b"+io"),
        (b"logfile", b"\xff\xfe"),
    ],
)
def test_words_that_are_none_are_invalid(filed, words):
    assert filed.ask("CONTROL", b"\0".join(words) + b"\0") == "EINVAL"


@pytest.mark.parametrize("what", ["values", "permissions"])
def test_a_walk_leaves_out_what_no_answer_holds(filed, what):
    filed.ask("WRITE", b"/w/l\0" + bytes(4090))
    filed.ask("WRITE", b"/w/s\0v")
    reply = filed.ask("CONTROL", b"walk\0/w\0" + what.encode() + b"\0")
    columns = 3 if what == "permissions" else 2
    count = struct.unpack_from("=I", reply)[0]
    numbers = struct.unpack_from(f"={count * columns}H", reply, 4)
    assert numbers[count] == 0xFFFF
    if what == "permissions":
        assert numbers[2 * count] == 0xFFFF


def test_a_domain_that_was_shut_down_or_broke_its_ring_is_told_so(filed):
    daemon = filed.daemon
    filed.ask("INTRODUCE", b"5\x001\x007\0")
    domain = daemon.domains.get(5)
    domain.shut = True
    assert b"shut down" in filed.ask("CONTROL", b"domains\x005\0")
    daemon.ignore(domain.connection, "broke it")
    assert b"ignored" in filed.ask("CONTROL", b"domains\x005\0")
