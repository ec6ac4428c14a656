"""libxenstore's own test on our daemon and the stock ones: values, directories, transactions, a forced conflict."""

import re

import pytest

from tests.compat import peers

DAEMONS = pytest.mark.parametrize("name", ["our_xenstored", "c_xenstored", "ox_xenstored"])


@DAEMONS
def test_test_xenstore_ends_with_0(name, need, request):
    need(peers.TEST_XENSTORE)
    daemon = request.getfixturevalue(name)
    done = daemon.run(peers.TEST_XENSTORE, "--iterations", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    tests = daemon.run(peers.TEST_XENSTORE, "--list-tests").stdout
    assert len(re.findall(r": [0-9]+ ns", done.stdout)) >= len(tests.splitlines()) >= 12


def test_test_xenstore_at_random(need, our_xenstored):
    need(peers.TEST_XENSTORE)
    done = our_xenstored.run(peers.TEST_XENSTORE, "--random", "1")
    assert done.returncode == 0, done.stdout + done.stderr


@DAEMONS
def test_test_xenstore_leaves_nothing(name, need, request):
    need(peers.TEST_XENSTORE, "xenstore-list")
    daemon = request.getfixturevalue(name)
    before = daemon.run("xenstore-list", "/").stdout
    daemon.run(peers.TEST_XENSTORE)
    after = daemon.run("xenstore-list", "/local/domain/0/xenstore-test")
    assert after.stdout == ""
    assert set(before.split()) <= set(daemon.run("xenstore-list", "/").stdout.split())
