"""Watches: who is told of which changes.

Rule: a watch is told after the commit, on the committing thread, of every commit (kept later or not) that
set or removed something at or below its path, at most `depth` levels below, or removed an ancestor of
it. Calls are in the order of commits; a callback that commits is served after the present round. What a
callback raises is logged and undoes nothing.
Cost: O(depth) look-ups a changed path, whatever the number of watches elsewhere; a removal looks at all
watched paths once.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rrdstore.history.commit import Edit
    from rrdstore.store.commit import Commit

    Callback = Callable[["Commit", tuple[str, ...]], object]

from rrdstore.tree.path import split

log = logging.getLogger("rrdstore")


class Watch:
    """A registered callback; `close` ends it."""

    __slots__ = ("_watches", "callback", "closed", "depth", "names", "start")

    def __init__(
        self, watches: Watches, names: tuple[str, ...], callback: Callback, depth: int | None, start: Commit
    ) -> None:
        self._watches, self.names, self.callback, self.depth = watches, names, callback, depth
        self.closed = False
        self.start = start
        """The head when the watch was set: it is told of every commit after this one."""

    def close(self) -> None:
        """Be told no more, not even of a commit that others are being told of; closing twice is no error."""
        self.closed = True
        self._watches.discard(self)


class Watches:
    """The watches of one branch."""

    def __init__(self) -> None:
        self._by_names: dict[tuple[str, ...], list[Watch]] = {}
        self._queue: deque[tuple[Commit, tuple[Edit, ...]]] = deque()
        self._serving = False

    def __bool__(self) -> bool:
        return bool(self._by_names)

    def add(self, path: str, callback: Callback, depth: int | None, start: Commit) -> Watch:
        """Watch `path`, which need not exist; `depth` None is all below."""
        if depth is not None and depth < 0:
            raise ValueError(f"depth {depth}: expected 0 or more")
        watch = Watch(self, split(path), callback, depth, start)
        self._by_names.setdefault(watch.names, []).append(watch)
        return watch

    def discard(self, watch: Watch) -> None:
        """Forget a watch."""
        watches = self._by_names.get(watch.names, [])
        if watch in watches:
            watches.remove(watch)
            if not watches:
                del self._by_names[watch.names]

    def fire(self, commit: Commit, edits: tuple[Edit, ...]) -> None:
        """Tell who is concerned; from within a callback, later."""
        self._queue.append((commit, edits))
        if self._serving:
            return
        self._serving = True
        try:
            while self._queue:
                made, what = self._queue.popleft()
                for watch, paths in self._concerned(what).items():
                    if watch.closed or watch.start.number >= made.number:
                        continue  # closed by another callback of this round, or set by one after this commit
                    try:
                        watch.callback(made, tuple(paths))
                    except Exception:  # a stranger's code, and the commit is done
                        log.exception("watch on /%s failed at commit %s", "/".join(watch.names), made.id)
        finally:
            self._serving = False

    def _concerned(self, edits: Iterable[Edit]) -> dict[Watch, dict[str, None]]:
        told: dict[Watch, dict[str, None]] = {}
        for edit in edits:
            names = split(edit.path)
            for length in range(len(names) + 1):
                for watch in self._by_names.get(names[:length], ()):
                    if watch.depth is None or len(names) - length <= watch.depth:
                        told.setdefault(watch, {})[edit.path] = None
            if edit.value is None:
                for watched, watches in self._by_names.items():
                    if len(watched) > len(names) and watched[: len(names)] == names:
                        for watch in watches:
                            told.setdefault(watch, {})[edit.path] = None
        return told
