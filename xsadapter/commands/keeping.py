"""CONTROL keep ...: which policy the history is kept by, and another one while the daemon runs.

Rules
1. `keep POLICY` gives the tree's branch that policy, as `rrdstore tune` does to a store that nobody has; `keep once
   POLICY` drops what it would not keep, as `rrdstore compact --keep`; with `what-if` before them nothing is changed.
2. It is in the store's journal when it is answered, so a daemon that is killed then goes on with it. Nothing is waited
   for: what goes is freed by the ticks of the daemon, in slices between which clients are served. The log says so.
3. What is no policy is EINVAL; more slots than the store has rows for ENOSPC.

Cost: that of `rrdstore.Store.tune`, O(kept log kept): 10 us a kept commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import rrdstore
from xsadapter.engine.notices import Notice
from xsadapter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xsadapter.engine.daemon import Daemon


def keep(daemon: Daemon, parameters: list[bytes]) -> str:
    """The policy, or what a change of it drops; EINVAL, and what the store raises: LimitReached, Held."""
    words = [word.decode("ascii", "replace") for word in parameters]
    dry, once = words[:1] == ["what-if"], False
    words = words[dry:]
    if len(words) > 1:
        once, words = words[0] == "once", words[1:]
        if not once:
            raise RequestError("EINVAL")
    if not words:
        if dry:
            raise RequestError("EINVAL")
        return f"{daemon.branch.keep}\n"
    try:
        return "".join(f"{line}\n" for line in _changed(daemon, words[0], dry=dry, once=once))
    except rrdstore.PolicyError:
        raise RequestError("EINVAL") from None


def _changed(daemon: Daemon, policy: str, *, dry: bool, once: bool) -> Iterator[str]:
    store, branch = daemon.store, daemon.branch.name
    if once:
        dropped = list(store.plan(policy, branch).drop) if dry else store.compact(branch, policy)
    else:
        made = store.tune(branch, policy, dry_run=dry)
        dropped = list(made.drop)
        yield f"policy {made.before} -> {made.after}"
    yield f"{len(dropped)} commits {'would be dropped' if dry else 'dropped'}, {store.info().kept} kept"
    if not dry:
        what = f"thinned once by {policy}" if once else f"kept by {policy}"
        daemon.notices.append(Notice(f"control: the history is {what}: {len(dropped)} commits dropped"))
