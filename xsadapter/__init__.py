"""A xenstore daemon on a store with history, and a client library.

The daemon is a sans-I/O core (`wire`, `operations`, `paths`, `engine`, `commands`) driven by one
event loop (`server`, `transport`); it imports the public names of `rrdstore` and nothing else of
it. The blocking client library is `xsadapter.client`. What is promised: docs/xenstore.md.
"""
