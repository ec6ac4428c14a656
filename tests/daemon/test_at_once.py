"""Requests so plain that they pass the handlers: what takes that way, and what must not."""

import pytest

from tests.daemon.conversation import Peer, fresh_daemon

OK = b"OK\0"


@pytest.fixture
def client():
    daemon = fresh_daemon()
    peer = Peer(daemon)
    for path in (b"/a/b/leaf", b"/local/domain/1/name"):
        assert peer.ask("WRITE", path + b"\0one") == OK
    return peer


def test_a_small_leaf_is_read_and_replaced_past_the_handlers_and_nothing_else_is(client):
    client.daemon._dispatch = {}
    assert client.ask("WRITE", b"/a/b/leaf\0two") == OK
    assert client.ask("READ", b"/a/b/leaf\0") == b"two"
    for payload in (b"/a/b\0", b"/a/b/new\0", b"/local/domain/1/name\0two", b"a/b/leaf\0", b"/a/b/leaf"):
        assert client.ask("WRITE", payload) == "ENOSYS"
    assert client.ask("WRITE", b"/a/b/leaf\0" + bytes(4000)) == "ENOSYS"
    assert client.ask("READ", b"/a/b/leaf\0") == b"two"


def test_where_memory_is_short_a_leaf_is_read_and_not_replaced(client):
    client.daemon.run_short(True)
    assert client.ask("WRITE", b"/a/b/leaf\0two") == "ENOMEM"
    assert client.ask("READ", b"/a/b/leaf\0") == b"one"
    client.daemon.run_short(False)
    assert client.ask("WRITE", b"/a/b/leaf\0two") == OK


def test_a_watch_and_the_account_know_of_what_was_replaced(client):
    assert client.ask("WATCH", b"/a\0token\0") == OK
    client.ask("SET_PERMS", b"/a/b/leaf\0n3\0")
    client.take()
    before = client.daemon.domains.record(3).stored
    client.daemon._dispatch = {}
    messages = client.exchange("WRITE", b"/a/b/leaf\0longer by some")
    assert [message.payload for message in messages] == [b"/a/b/leaf\0token\0", OK]
    assert client.daemon.domains.record(3).stored == before + len(b"longer by some") - len(b"one")
