"""A xenstore daemon on a store with history, a client library, and the xenstore tools.

The daemon is a sans-I/O core (`wire`, `operations`, `paths`, `engine`, `commands`) driven by one
event loop (`server`, `transport`); it imports the public names of `rrdstore` and nothing else of
it; `audit` writes down who did what. The blocking client library is `xsadapter.client`; what `xenstore-read` and
so on do is `xsadapter.tools`. What is promised: docs/xenstore.md.
"""
