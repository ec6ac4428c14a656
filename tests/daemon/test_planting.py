"""A tree that is taken over from another daemon, in a store that has no room for its indexes."""

import rrdstore
from tests.daemon.conversation import Host
from xsadapter.engine.daemon import Daemon
from xsadapter.engine.planting import plant

LIST = b"n0\0"
NAMES = 400


def test_indexes_that_are_planted_in_part_are_none(tmp_path):
    nodes = dict.fromkeys(("/", "/local", "/local/domain", "/tool"), (b"", LIST))
    for domid in range(1, NAMES + 1):
        nodes[f"/local/domain/{domid}"] = b"", LIST
        nodes[f"/local/domain/{domid}/name"] = b"web%d" % domid + b"x" * 2900, LIST
    with rrdstore.create(tmp_path / "store", "4MiB") as store:
        daemon = Daemon(store, Host())
        plant(daemon, "boot", nodes, {})
        assert store.branch("main").list("/.xsadapter/index/name"), "there was room for some"
        daemon.begin("boot", charges={})
        assert daemon.branch.get(f"/local/domain/{NAMES}/name").startswith(b"web")
        (notice,) = daemon.notices
        assert "nobody is found at /@index" in notice.text
        assert "/.xsadapter/index" not in daemon.branch
