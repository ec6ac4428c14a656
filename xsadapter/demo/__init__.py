"""A host's day in about a minute, on the real daemon and a real file: what `make demo` runs.

Rules
1. Nothing is staged. The daemon is the one that `xsadapter run` starts, on a Unix socket and a store of 16 MiB;
   the day goes through the socket; the past is read from the file, as any other process would read it.
   Only the clock is the demo's own, so that the day takes as long as its work and no longer.
2. What is said is checked. The story knows what it did and when; the end compares that with what the
   file says, and one claim that does not hold makes the exit status 1.
3. Nothing is left behind, however it ends.

    day        when what happens: a table, and the moment that nobody knows
    toolstack  the writes that start and end a domain
    guests     the writes of what runs inside
    actors     a client, counting what was acknowledged
    story      the day, lived through
    service    the daemon on one thread, the story on another
    look       what is kept at one moment, and the size of the files
    picture    tiers and days as lines of text
    bisection  the first commit that is broken, of those that are kept
    travel     a moment of the past beside now
    stage      how it is printed, and what is claimed
    chapters   what is left of the day
    play       all of it, in order
"""
