"""kill -9 in the middle of writing, fifty times: what was acknowledged is there, and `check` is clean."""

import os
import signal
from random import Random

import rrdstore
from rrdstore.storage.layout import MIB

KEYS = 40
KILLS = 50


def write(path, acknowledged, seed):
    """The process that is killed: sets keys to the number of the commit that sets them, and says so when it has."""
    random = Random(seed)
    store = rrdstore.open(path, sync="none")
    main = store.branch("main")
    while True:
        number = store.branch("main").head.number + 1
        value = b"%d" % number + b"." * random.choice((0, 10, 100, 3000))
        commit = main.set(f"/k{random.randrange(KEYS)}/below", value)
        if commit.number != number:
            os._exit(2)
        os.write(acknowledged, number.to_bytes(8, "little"))
        what = random.random()
        if what < 0.1:
            store.tick()
        elif what < 0.13:
            if "work" in store.branches:
                store.delete_branch("work")
            else:
                main.fork("work")


def killed(path, random):
    """Run it, kill it after some acknowledgements; the number of the last."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            write(path, writing, random.random())
        finally:
            os._exit(1)
    os.close(writing)
    last = 0
    with os.fdopen(reading, "rb") as pipe:
        for _ in range(random.randrange(1, 40)):
            last = int.from_bytes(pipe.read(8), "little")
        os.kill(child, signal.SIGKILL)
        rest = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was killed, it did not fail"
    return int.from_bytes(rest[-8:], "little") if rest else last


def test_nothing_acknowledged_is_lost(tmp_path):
    path = str(tmp_path / "s.rrdb")
    rrdstore.create(path, 2 * MIB, "last:40 *:8", sync="none").close()
    random = Random(4)
    for _ in range(KILLS):
        last = killed(path, random)
        with rrdstore.open(path, sync="none") as store:
            main = store.branch("main")
            head = main.head.number
            # One more may have been made and not yet said.
            assert last <= head <= last + 1
            values = {int(main.get(f"/{name}/below").split(b".")[0]) for name in main.list("/")}
            assert max(values) == head
            for number in range(max(1, head - 20), head + 1):
                snapshot = main.at(f"{number}")
                newest = {int(snapshot.get(f"/{name}/below").split(b".")[0]) for name in snapshot.list("/")}
                assert not newest or max(newest) == number
                snapshot.close()
            assert store.check() == []
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2 * MIB
