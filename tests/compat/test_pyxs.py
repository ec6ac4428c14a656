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
    names = [b"a-rather-long-name-%04d" % number for number in range(50)]
    for name in names:
        c.write(b"/many/" + name, name)
    assert sorted(c.list(b"/many")) == names
    assert sorted(value for _, value, below in c.walk(b"/many") if not below) == names
    c.write(b"/text", bytes(range(32, 127)))
    assert c.read(b"/text") == bytes(range(32, 127))
    for refused, name in [
        (lambda: c.write(b"/a//b", b""), errno.EINVAL),
        (lambda: c.set_perms(b"/no", [b"n0"]), errno.ENOENT),
        (lambda: c.list(b"/no"), errno.ENOENT),
        (lambda: c.delete(b"/no/no"), errno.ENOENT),
    ]:
        try:
            refused()
        except (PyXSError, ValueError) as error:
            assert error.args[0] == name or isinstance(error, ValueError), error.args
        else:
            raise AssertionError("was not refused")
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

DOMAINS = """
Client.SU = True  # it would ask /proc/xen whether this is domain 0
with Client(unix_socket_path=path) as c:
    monitor = c.monitor()
    for special in (b"@introduceDomain", b"@releaseDomain"):
        monitor.watch(special, special)
    events = monitor.wait()
    assert {next(events).path, next(events).path} == {b"@introduceDomain", b"@releaseDomain"}
    assert not c.is_domain_introduced(7)
    c.introduce_domain(7, 1, 7)
    assert next(events).path == b"@introduceDomain"
    assert c.is_domain_introduced(7)
    c.introduce_domain(8, 1, 8)
    assert next(events).path == b"@introduceDomain"
    c.set_target(7, 8)
    c.resume_domain(7)
    c.release_domain(7)
    assert next(events).path == b"@releaseDomain"
    assert not c.is_domain_introduced(7)
    try:
        c.release_domain(7)
    except PyXSError as error:
        assert error.args[0] == errno.ENOENT, error.args
    else:
        raise AssertionError("released twice")
"""

HEAD = """
import errno, sys
from pyxs import Client, PyXSError
from pyxs.client import Event
path = sys.argv[1]
"""


def carry_out(daemon, script):
    done = subprocess.run(
        [peers.SYSTEM_PYTHON, "-c", HEAD + script, daemon.socket],
        capture_output=True,
        text=True,
        timeout=peers.PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr


SCRIPTS = {"values": VALUES, "transactions": TRANSACTIONS, "watches": WATCHES}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
@pytest.mark.parametrize("name", ["our_xenstored", "c_xenstored", "ox_xenstored"])
def test_pyxs(name, script, request, need):
    need("pyxs")
    carry_out(request.getfixturevalue(name), script)


@pytest.mark.parametrize("whose", ["ours", "C"])
def test_pyxs_as_a_toolstack(whose, need, run_directory):
    need("pyxs", *peers.C_NEEDS)
    start = (
        peers.c_xenstored(run_directory)
        if whose == "C"
        else peers.our_xenstored(run_directory, "--simulated-xen", str(run_directory))
    )
    with start as daemon:
        carry_out(daemon, DOMAINS)
