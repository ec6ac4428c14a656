"""What `rrdstore export --rrd` writes, read by RRDtool: restored and fetched, all values are equal."""

from __future__ import annotations

import math
import subprocess

import numpy as np
import pytest

import rrdstore
from rrdstore import interchange
from rrdstore.testing import ManualClock
from tests.compat import peers


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


def fetched(database: str, cf: str, step: int, start: int, end: int) -> dict[int, list[float]]:
    """What `rrdtool fetch` says: rows by the second at which they end."""
    printed = run("rrdtool", "fetch", database, cf, "-r", str(step), "-s", str(start), "-e", str(end))
    rows = (line.split(":", 1) for line in printed.splitlines()[2:])
    return {int(second): [float(word.replace("-nan", "nan")) for word in words.split()] for second, words in rows}


@pytest.mark.parametrize("policy", ["1s:5m 1m:2h 1h:2d 1d:30d 1w:1y", "10s:30 1m:20 1M:1y"])
def test_rrdtool_fetches_what_we_fetch(tmp_path, policy):
    peers.need("rrdtool")
    clock = ManualClock()
    with rrdstore.memory(f"last:4 {policy}", series=["/vm/*/load:4"], clock=clock) as store:
        main = store.branch("main")
        for n in range(3000):
            clock.advance([0.2, 1, 3.7, 40, 0][n % 5] + (90_000 if n % 400 == 399 else 0))
            value = b"text" if n % 11 == 0 else b"%.17g" % (math.sin(n) * 10 ** (n % 9))
            main.set(f"/vm/{n % 3}/load", value)
            if n == 2000:
                main.remove("/vm/1")
        xml, database = tmp_path / "x.xml", str(tmp_path / "x.rrd")
        with xml.open("w") as out:
            paths = interchange.export_rrd(store, out.write)
        assert paths == ("/vm/0/load", "/vm/1/load", "/vm/2/load")
        run("rrdtool", "restore", str(xml), database)
        compared = 0
        for tier in policy.split():
            step = tier.split(":")[0]
            if step == "1M":
                continue
            names = (("average", "AVERAGE"), ("min", "MIN"), ("max", "MAX"), ("last", "LAST"))
            # Of one second RRDtool has one number, whichever is asked for.
            for cf, name in names if step != "1s" else names[:1]:
                ours = store.series("/vm/*/load", cf, step=step)
                times = ours.times.astype(np.int64) // 1_000_000
                seconds = int(times[1] - times[0]) if len(times) > 1 else 604_800
                # An archive is taken if it has a row that ends at the start; that row itself is not given.
                rows = fetched(database, name, seconds, int(times[0]) + seconds, int(times[-1]) + seconds)
                for start, wanted in zip(times.tolist()[1:], ours.values[1:], strict=True):
                    assert rows[start + seconds] == pytest.approx(wanted.tolist(), rel=1e-9, abs=0, nan_ok=True)
                    compared += int((~np.isnan(wanted)).sum())
        assert compared > 300
        assert f"last_update = {store.ledger.now() // 1_000_000 // int(step_of(policy)) * int(step_of(policy))}" in run(
            "rrdtool", "info", database
        )


def step_of(policy: str) -> str:
    return policy.split("s:", maxsplit=1)[0]


def test_a_restored_database_goes_on(tmp_path):
    peers.need("rrdtool")
    clock = ManualClock()
    with rrdstore.memory("10s:30", series=["/n:1"], clock=clock) as store:
        store.branch("main").set("/n", b"5")
        clock.advance(100)
        xml, database = tmp_path / "x.xml", str(tmp_path / "x.rrd")
        with xml.open("w") as out:
            interchange.export_rrd(store, out.write)
        run("rrdtool", "restore", str(xml), database)
        now = store.ledger.now() // 1_000_000 // 10 * 10
        run("rrdtool", "update", database, f"{now + 10}:7", f"{now + 20}:7")
        rows = fetched(database, "LAST", 10, now - 10, now + 20)
        assert rows[now] == [5]
        assert rows[now + 20] == [7]
