"""A load generator for xenstore daemons, any of them: raw frames over sockets and simulated rings.

    python -m bench.load [WORKLOAD...] [--daemon NAME|NAME=SOCKET]... [--short] [--runs 9] [--plot FILE]

Rules
1. Daemon and client share one core, so that wall time is what both cost together whatever the machine does; what is
   compared is the daemon's own CPU time, read from the kernel.
2. Daemons take turns, run by run; each keeps its best of nine. A ratio is of figures of one workload's turns.
3. Requests go to random nodes of many domains, never to one hot key, and are built before the clock starts. Every
   answer's length is known beforehand, so a refusal is noticed.
4. A bar is an `Aim`: its figure stands there whether it is met or not.
"""
