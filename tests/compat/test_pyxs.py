"""pyxs, a Python client of others, under Debian's own python: reads, writes, watches, commits."""

import subprocess

import pytest

from tests.compat import peers

VALUES = """
with Client(unix_socket_path=path) as c:
    c.write(b"/a/b", b"1")
    c.mkdir(b"/a/c")
    assert c.read(b"/a/b") == b"1"
    assert c.read(b"/no", b"default") == b"default"
    assert sorted(c.list(b"/a")) == [b"b", b"c"]
    assert c.exists(b"/a/c") and not c.exists(b"/a/d")
    c.set_perms(b"/a/b", [b"n0", b"r5"])
    assert c.get_perms(b"/a/b") == [b"n0", b"r5"]
    assert c.get_domain_path(5) == b"/local/domain/5"
    c.delete(b"/a")
    assert not c.exists(b"/a/b")
    try:
        c.read(b"/a/b")
    except PyXSError as error:
        assert error.args[0] == errno.ENOENT, error.args
    else:
        raise AssertionError("a missing node was read")
"""

TRANSACTIONS = """
with Client(unix_socket_path=path) as c, Client(unix_socket_path=path) as other:
    c.write(b"/a", b"1")
    c.transaction()
    c.write(b"/a", b"2")
    assert c.read(b"/a") == b"2"
    assert other.read(b"/a") == b"1"
    assert c.commit()
    assert other.read(b"/a") == b"2"
    c.transaction()
    c.write(b"/a", b"3")
    c.rollback()
    assert c.read(b"/a") == b"2"
    c.transaction()
    c.read(b"/a")
    other.write(b"/a", b"4")
    c.write(b"/b", b"depends on /a")
    assert not c.commit(), "committed on what has changed"
    assert not c.exists(b"/b")
"""

WATCHES = """
with Client(unix_socket_path=path) as c, Client(unix_socket_path=path) as other:
    c.write(b"/a/b", b"1")
    monitor = c.monitor()
    monitor.watch(b"/a", b"token")
    events = monitor.wait()
    assert next(events) == Event(b"/a", b"token")
    other.write(b"/elsewhere", b"1")
    other.write(b"/a/b", b"2")
    assert next(events) == Event(b"/a/b", b"token")
    other.delete(b"/a/b")
    assert next(events) == Event(b"/a/b", b"token")
    monitor.unwatch(b"/a", b"token")
"""

HEAD = """
import errno, sys
from pyxs import Client, PyXSError
from pyxs.client import Event
path = sys.argv[1]
"""


@pytest.mark.parametrize("script", [VALUES, TRANSACTIONS, WATCHES], ids=["values", "transactions", "watches"])
@pytest.mark.parametrize("name", ["our_xenstored", "c_xenstored", "ox_xenstored"])
def test_pyxs(name, script, request, need):
    need("pyxs")
    daemon = request.getfixturevalue(name)
    done = subprocess.run(
        [peers.SYSTEM_PYTHON, "-c", HEAD + script, daemon.socket],
        capture_output=True,
        text=True,
        timeout=peers.PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
