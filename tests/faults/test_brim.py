"""A store that pins fill to the brim, and a boot that finds no room in it: the host has a xenstored, pins stay."""

from __future__ import annotations

import math

import pytest

import rrdstore
from tests.daemon.conversation import Peer
from tests.daemon.processes import running
from xsadapter.cli.history import Wanted
from xsadapter.cli.refuge import Refuge
from xsadapter.engine import private
from xsadapter.engine.daemon import Daemon
from xsadapter.errands import Errands


def brimming(path):
    """A store of an earlier boot in which not even deleting has room; its pins."""
    with rrdstore.create(path, "4MiB", "last:2", sync="none") as store:
        main = store.branch("main")
        main.set(private.BOOT, b"earlier")
        for number in range(900):
            main.set(f"/small/{number}", bytes(150))
        for number in range(30):
            main.set(f"/middle/{number}", bytes(40))
            main.set(f"/tiny/{number}", b"")
        for size in (40_000, 4_000, 1_000):
            for number in range(300):
                try:
                    main.set(f"/big/{size}/{number}", bytes(size))
                except rrdstore.StoreFull:
                    break
        # The reserve, too: each listing without what was deleted stays beside the one before, as that is pinned.
        names = [f"/small/{number}" for number in range(900)]
        for count in (8, 4, 2, 1):
            while deleted(store, names[-count:]):
                del names[-count:]
        for where in ("middle", "tiny"):
            names = [f"/{where}/{number}" for number in range(30)]
            while deleted(store, names[-1:]):
                names.pop()
        return store.pins, store.tags


def deleted(store, names):
    """Whether there was room to delete all of these at once, with what was there pinned."""
    main = store.branch("main")
    try:
        store.pin(main.head)
    except rrdstore.LimitReached:
        store.tag(f"t{len(store.tags)}", main.head)
    try:
        with main.transaction() as tx:
            for name in names:
                tx.remove(name)
    except rrdstore.StoreFull:
        return False
    store.tick()
    return True


def test_a_new_boot_begins_in_it_and_everything_pinned_is_there(rundir):
    rundir.mkdir()
    path = rundir / "history.rrdb"
    kept, tags = brimming(path)
    with running(rundir, "--strict") as served, served.client() as client:
        assert client.list("/") == ["tool"]
        assert "lost-by-a-kill 0\n" in client.control("metrics")
        served.process.kill()
    with rrdstore.open(str(path)) as store:
        assert (store.pins, store.tags) == (kept, tags)
        assert store.check() == []
        assert store.branch("main").at(min(kept)).tree.list("/") == (".xsadapter", "big", "middle", "small", "tiny")


def test_one_that_refuses_this_boot_s_tree_is_let_go_of_and_gets_it_when_it_can(tmp_path, caplog):
    """None could be made that does; so it is said to, by whoever begins."""
    wanted = Wanted(tmp_path / "history.rrdb", "4MiB")
    refuge = Refuge(wanted)
    full = refuge.store
    daemon = Daemon(full)

    def begin(_):
        if daemon.store is full:
            raise rrdstore.StoreFull(1, 0)
        return daemon.begin("boot")

    assert not refuge.begin(daemon, begin)
    assert "serving from memory, with a fresh tree" in caplog.text
    errands = Errands()
    refuge.serve(daemon, errands, None)
    assert len(list(daemon.troubles.told(daemon.store.info(), 0.0))) == 1
    assert Peer(daemon).ask("WRITE", b"/a\0x") == b"OK\0"
    rrdstore.open(str(wanted.path)).close()  # Nobody has it.
    errands.turn(None, math.inf)
    assert list(daemon.troubles.told(daemon.store.info(), 0.0)) == []
    refuge.close()
    with rrdstore.open(str(wanted.path), readonly=True) as store:
        assert store.branch("main").get("/a") == b"x"


def test_with_strict_it_is_the_end(tmp_path):
    refuge = Refuge(Wanted(tmp_path / "history.rrdb", "4MiB", strict=True))

    def begin(_):
        raise rrdstore.StoreFull(1, 0)

    with pytest.raises(rrdstore.StoreFull):
        refuge.begin(Daemon(refuge.store), begin)
    refuge.close()
