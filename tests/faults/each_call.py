"""Each call to the system fails in turn, of one thing done to a store: run with the failing disk preloaded.

    python tests/faults/each_call.py THING FOLDER KINDS STRIDE FIRST

Whatever call it is that fails, alone or with all that follow: the thing is done, by another way if there is one, or an
error of the store says that nothing was. Then one more commit
is acknowledged, and the process could be killed: what a copy of the files holds is what was acknowledged, and `check`
is clean. Prints how many calls failed, and how often the thing was refused.
"""

from __future__ import annotations

import ctypes
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

import rrdstore
from bench.kills import state_of
from tests.faults.shim import Faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from rrdstore import Store

ENDS = ("", "-wal", "-ring")
SIZE = 2 << 20
LARGE = b"." * 18_000
OPEN: dict[str, Callable[[Store], object]] = {
    "set": lambda store: store.branch("main").set("/refused", b"1"),
    "large": lambda store: store.branch("main").set("/refused", LARGE),
    "fork": lambda store: store.branch("main").fork("refused", "last:3"),
    "delete": lambda store: store.delete_branch("work"),
    "tag": lambda store: store.tag("refused", store.branch("main").head),
    "tune": lambda store: store.tune("main", "last:3"),
    "tick": lambda store: store.tick(),
    "compact": lambda store: store.compact(keep="last:3"),
}
"""What is done to an open store. The others are done to a closed one: open, and close with much in the journal."""
JOURNALLED = {"set", "fork", "delete", "tag", "tune", "compact"}
"""What calls the system only if it is to be on the disk before it is answered."""


def begun(path: str) -> None:
    """A store with a branch and a past, and a journal that a kill has left."""
    store = rrdstore.create(path + "-live", SIZE, "last:10 *:4")
    main = store.branch("main")
    for step in range(30):
        main.set(f"/d{step % 5}/k{step}", b"%d" % step * 40)
    work = main.fork("work")
    for step in range(12):
        work.set(f"/w{step}", b"." * 300)
        main.set(f"/d{step % 5}/k{step}", b"again")
    for end in ENDS:
        shutil.copyfile(path + "-live" + end, path + "-saved" + end)
    store.close()


def copied(source: str, target: str) -> None:
    for end in ("-shm", *ENDS):
        Path(target + end).unlink(missing_ok=True)
        if Path(source + end).exists():
            shutil.copyfile(source + end, target + end)


def once(thing: str, path: str, faults: Faults) -> tuple[bool, bool, bool]:
    """Whether there were so many calls, whether this one failed, and whether the thing was refused."""
    here = ctypes.CDLL(None)
    here.faulty_seen.restype = here.faulty_failed.restype = ctypes.c_uint64
    copied(path + "-saved", path)
    sync = "commit" if thing in JOURNALLED else "tick"
    refused = False
    store: Store | None = None
    if thing in OPEN:
        store = rrdstore.open(path, sync=sync)
        before = state_of(store)
    faults.arm()
    try:
        if store is not None:
            OPEN[thing](store)
        else:
            store = rrdstore.open(path)
            before = state_of(store)
            if thing == "close":
                store.close()
    except rrdstore.Corrupt:
        raise
    except rrdstore.StoreError:
        refused = True
    here.faulty_disarm()
    if store is not None and store.ledger.closed:
        store = None
    store = store or rrdstore.open(path)
    if refused and thing in OPEN:
        assert not state_of(store).differs(before), state_of(store).differs(before)
    store.branch("main").set("/after", b"it")
    wanted = state_of(store)
    copied(path, path.removesuffix("store") + "copy")
    with rrdstore.open(path.removesuffix("store") + "copy") as copy:
        assert not state_of(copy).differs(wanted), state_of(copy).differs(wanted)
        assert copy.check() == []
    store.close()
    with rrdstore.open(path, readonly=True) as again:
        assert not state_of(again).differs(wanted), state_of(again).differs(wanted)
        assert again.check() == []
    return here.faulty_seen() >= faults.nth, here.faulty_failed() > 0, refused


def main() -> int:
    thing, folder, kinds, stride, first = sys.argv[1:]
    path = folder + "/store"
    begun(path)
    failed = refused = 0
    for lasting in (False, True) if thing in OPEN else (False,):
        for nth in range(int(first), 5_000, int(stride)):
            faults = Faults(path, nth=nth, kinds=int(kinds), seed=nth, lasting=lasting)
            try:
                there, has_failed, was_refused = once(thing, path, faults)
            except BaseException:
                print(f"{thing}, call {nth} fails as {kinds}, {lasting=}", file=sys.stderr)
                raise
            if not there:
                break
            failed, refused = failed + has_failed, refused + was_refused
    print(failed, refused)
    return 0


if __name__ == "__main__":
    sys.exit(main())
