"""libxenstore's own test on our daemon: reads, writes, directories, removals, transactions and a forced conflict."""

from tests.compat import peers


def test_test_xenstore_ends_with_0(need, our_xenstored):
    need(peers.TEST_XENSTORE)
    done = our_xenstored.run(peers.TEST_XENSTORE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ta err" in done.stdout


def test_test_xenstore_leaves_nothing(need, our_xenstored):
    need(peers.TEST_XENSTORE, "xenstore-list")
    before = our_xenstored.run("xenstore-list", "/").stdout
    our_xenstored.run(peers.TEST_XENSTORE)
    after = our_xenstored.run("xenstore-list", "/local/domain/0/xenstore-test")
    assert after.stdout == ""
    assert set(before.split()) <= set(our_xenstored.run("xenstore-list", "/").stdout.split())
