"""A thousand deaths of the daemon under load, with an oracle: `python -m bench.torture [ROUNDS] [SEED]`.

What CI does thirty times (tests/recovery): most at any instant, a fifth while it starts, and eight of each fifty at a
live update, after it or within it. Prints how it goes; ends with status 1 at the first thing that is wrong.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from tests.compat.peers import short_directory
from tests.recovery.torture import Torture

if TYPE_CHECKING:
    from collections.abc import Callable

_EACH = 50
_UPDATES = 8


def _tortured(seed: int, act: Callable[[Torture], None]) -> Torture:
    with short_directory() as directory:
        torture = Torture(directory, seed)
        try:
            act(torture)
        finally:
            torture.close()
    return torture


def main() -> None:
    rounds, seed = map(int, (*sys.argv[1:3], *("1000", "1")[len(sys.argv) - 1 :]))
    began, done = time.monotonic(), 0
    requests = doubts = counted = 0
    slowest = 0.0
    while done < rounds:
        count = min(_EACH, rounds - done)
        updates = min(_UPDATES, count)
        tortures = [
            _tortured(seed + done, lambda torture: torture.run(count - updates, longest=0.4)),  # noqa: B023 - at once
            _tortured(seed + done, lambda torture: torture.updates(updates, longest=3)),  # noqa: B023 - at once
        ]
        done += count
        stories = [actor.story for torture in tortures for actor in torture.actors]
        requests += sum(story.requests for story in stories)
        doubts += sum(story.doubts for story in stories)
        counted += sum(story.counted for story in stories)
        slowest = max(slowest, *(start for torture in tortures for start in torture.starts))
        print(
            f"{done} of {rounds} deaths, {time.monotonic() - began:.0f} s: {requests} requests answered, {counted}"
            f" transactions counted, {doubts} connections ended in doubt, the slowest start {slowest:.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
