"""A thousand deaths of the daemon under load, with an oracle: `python -m bench.torture [ROUNDS] [SEED]`.

What CI does thirty times (tests/recovery). Prints how it goes; ends with status 1 at the first thing that is wrong.
"""

import sys
import time

from tests.compat.peers import short_directory
from tests.recovery.torture import Torture

_EACH = 50


def main() -> None:
    rounds, seed = map(int, (*sys.argv[1:3], *("1000", "1")[len(sys.argv) - 1 :]))
    began, done = time.monotonic(), 0
    requests = doubts = counted = 0
    slowest = 0.0
    while done < rounds:
        with short_directory() as directory:
            torture = Torture(directory, seed + done)
            try:
                torture.run(min(_EACH, rounds - done), longest=0.4)
            finally:
                torture.close()
        done += min(_EACH, rounds - done)
        stories = [actor.story for actor in torture.actors]
        requests += sum(story.requests for story in stories)
        doubts += sum(story.doubts for story in stories)
        counted += sum(story.counted for story in stories)
        slowest = max(slowest, *torture.starts)
        print(
            f"{done} of {rounds} deaths, {time.monotonic() - began:.0f} s: {requests} requests answered, {counted}"
            f" transactions counted, {doubts} connections ended in doubt, the slowest start {slowest:.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
