"""The client library against the daemon, and against a server that says what a real one seldom does."""

import itertools

import pytest

from tests.compat.peers import short_directory
from tests.daemon.conversation import NUMBERS
from tests.daemon.scripted import Scripted
from xsadapter.client import Client, RequestError


def test_the_verbs(client):
    client.write("/test/a/b", b"\0value")
    assert client.read("/test/a/b") == b"\0value"
    assert client.read("/test/a") == b""
    client.mkdir("/test/c")
    assert client.list("/test") == ["a", "c"]
    assert client.exists("/test/a")
    client.set_permissions("/test/a", ["n0", "r5"])
    assert client.get_permissions("/test/a") == ["n0", "r5"]
    client.rm("/test/a")
    assert not client.exists("/test/a/b")
    assert client.domain_path(5) == "/local/domain/5"
    assert client.is_introduced(0)
    assert not client.is_introduced(5)
    assert "history" in client.control("help")


def test_existence_that_cannot_be_told_is_no_answer(client):
    with pytest.raises(RequestError, match="EINVAL"):
        client.exists("//")


def test_a_directory_of_any_size(client):
    names = [f"a-rather-long-name-{number:04}" for number in range(700)]
    with client.pipeline() as pipe:
        for name in names:
            pipe.mkdir(f"/test/{name}")
    assert client.list("/test") == names
    with client.transaction() as transaction:
        transaction.mkdir("/test/zzz")
        assert transaction.list("/test") == [*names, "zzz"]


def test_a_transaction_commits_or_leaves_nothing(client):
    with client.transaction() as transaction:
        transaction.write("/test/a", b"1")
        transaction.mkdir("/test/d")
        transaction.set_permissions("/test/d", ["r0"])
        assert transaction.get_permissions("/test/d") == ["r0"]
        assert transaction.read("/test/a") == b"1"
        assert transaction.exists("/test/d")
        assert not transaction.exists("/test/e")
        assert not client.exists("/test/a")
        transaction.rm("/test/d")
    assert client.list("/test") == ["a"]

    def broken():
        with client.transaction() as transaction:
            transaction.write("/test/a", b"2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert client.read("/test/a") == b"1"


def test_update_tries_again(process, client):
    client.write("/test/n", b"0")
    with process.client() as other:
        tries = []

        def increment(transaction):
            value = int(transaction.read("/test/n"))
            if len(tries) < 3:
                other.write("/test/n", b"%d" % (value + 10))
            tries.append(value)
            transaction.write("/test/n", b"%d" % (value + 1))
            return value

        assert client.update(increment) == 30
        assert tries == [0, 10, 20, 30]
        assert client.read("/test/n") == b"31"
        tries.clear()
        with pytest.raises(RequestError, match="EAGAIN"):
            client.update(increment, retries=2)
        with pytest.raises(RequestError, match="ENOENT"):
            client.update(lambda transaction: transaction.read("/test/none"))


def test_watches(process, client):
    with process.client() as other, client.watch("/test") as watch, client.watch("/test", depth=0) as shallow:
        assert [next(watch), next(shallow)] == ["/test", "/test"]
        other.write("/test/a", b"1")
        other.write("/test", b"1")
        assert client.read("/test/a") == b"1"
        assert [next(watch), next(watch), next(shallow)] == ["/test/a", "/test", "/test"]
    assert list(itertools.islice(client.watch("/test"), 1)) == ["/test"]


def test_a_pipeline(client):
    with client.pipeline() as pipe:
        written = pipe.write("/test/a", b"1")
        value = pipe.read("/test/a")
        with pytest.raises(LookupError):
            value.get()
        names, permissions = pipe.list("/test"), pipe.get_permissions("/test/a")
        pipe.mkdir("/test/b")
        pipe.rm("/test/b")
    assert written.get() is None
    assert (value.get(), names.get(), permissions.get()) == (b"1", ["a"], ["n0"])


def test_a_pipeline_raises_the_first_refusal_or_keeps_them(client):
    def two_refusals():
        with client.pipeline() as pipe:
            pipe.write("/test/a", b"1")
            pipe.read("/test/no")
            pipe.read("//")
            pipe.write("/test/b", b"2")

    with pytest.raises(RequestError, match="READ /test/no: ENOENT"):
        two_refusals()
    assert client.list("/test") == ["a", "b"]
    with client.pipeline(keep_errors=True) as pipe:
        good, bad = pipe.read("/test/a"), pipe.read("/test/no")
    assert good.get() == b"1"
    assert bad.error is not None
    with pytest.raises(RequestError):
        bad.get()


def test_a_pipeline_larger_than_all_buffers(client):
    value = b"v" * 4000
    with client.watch("/test") as watch:
        with client.pipeline() as pipe:
            for number in range(500):
                pipe.write(f"/test/{number % 3}", value)
            answers = [pipe.read(f"/test/{number % 3}") for number in range(1000)]
        assert all(answer.get() == value for answer in answers)
        assert next(watch) == "/test"
        assert {next(watch), next(watch), next(watch)} == {"/test/0", "/test/1", "/test/2"}


@pytest.fixture
def place():
    with short_directory() as directory:
        yield directory / "socket"


def test_a_listing_that_changes_between_its_parts_is_read_again(place):
    part, error = NUMBERS["DIRECTORY_PART"], NUMBERS["ERROR"]
    replies = [
        [(error, b"E2BIG\0")],
        [(part, b"7\0a\0b\0")],
        [(part, b"8\0d\0\0")],
        [(part, b"8\0a\0c\0")],
        [(part, b"8\0d\0\0")],
    ]
    with Scripted(place, replies), Client(place) as client:
        assert client.list("/") == ["a", "c", "d"]


def test_a_listing_that_ends_at_a_border(place):
    part, error = NUMBERS["DIRECTORY_PART"], NUMBERS["ERROR"]
    replies = [[(error, b"E2BIG\0")], [(part, b"7\0a\0b\0")], [(part, b"7\0\0")]]
    with Scripted(place, replies), Client(place) as client:
        assert client.list("/") == ["a", "b"]


def test_events_between_requests_and_replies_wait_for_their_watch(place):
    watch, event, read = NUMBERS["WATCH"], NUMBERS["EVENT"], NUMBERS["READ"]
    replies = [[(watch, b"OK\0")], [(event, b"/a\0w1\0"), (event, b"/x\0other\0"), (read, b"v"), (event, b"/b\0w1\0")]]
    with Scripted(place, replies), Client(place) as client:
        told = client.watch("/")
        assert client.read("/") == b"v"
        assert [next(told), next(told)] == ["/a", "/b"]


def test_the_end_of_the_daemon_is_a_connection_error(place):
    with Scripted(place, [[(NUMBERS["READ"], b"v")]]), Client(place) as client:
        assert client.read("/") == b"v"
        with pytest.raises(ConnectionError):
            client.read("/")


def test_a_reply_that_nobody_asked_for_is_a_connection_error(place):
    replies = [[(NUMBERS["WATCH"], b"OK\0"), (NUMBERS["READ"], b"v")]]
    with Scripted(place, replies), Client(place) as client:
        watch = client.watch("/")
        with pytest.raises(ConnectionError):
            next(watch)
