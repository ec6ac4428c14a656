"""The daemon as a state machine: no I/O, no clock, no logger.

- connection: one client: input, output, its watches and transactions
- watches: who wants to know about which path
- permissions: permission lists, as stored and as judged
- head: the newest tree
- view: what a handler sees of the tree, and the live view of the head
- transactions: the same view of a private snapshot, and its END
- events: what a change tells the watchers: the net effect
- index: which domain has a name: what a client reads below /@index
- private: what the daemon keeps in the tree for itself
- notices: what the shell should log
- trail: what auditors are to know
- daemon: the state that all connections share, and the carrying out of one request
"""
