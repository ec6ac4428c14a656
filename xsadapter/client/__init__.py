"""A blocking client of any xenstore daemon, with pipelining.

    with Client() as store:
        store.write("/tool/example", b"1")
        with store.transaction() as tx:
            tx.write("/tool/example", tx.read("/tool/example") + b"2")
        with store.pipeline() as pipe:
            answers = [pipe.read(path) for path in paths]
        values = [answer.get() for answer in answers]
        for path in store.watch("/tool"):
            ...

Rules
1. Requests are answered in order; watch events that arrive meanwhile wait for their watch.
2. Every refusal is a RequestError with the daemon's name for it; a lost connection is a ConnectionError, unless the
   client is to connect again (`reconnect`, see `connection`); a time-out, if one was given, is a TimeoutError and the
   client is of no use after it.
3. A pipeline reads while it writes, so it cannot block against a daemon that does the same.

For one thread at a time. Cost: one round trip a call; a pipeline is one for all.
"""

from xsadapter.client.connection import Client, Transaction, Watch
from xsadapter.client.pipeline import Answer, Pipeline
from xsadapter.errors import OutcomeUnknownError, RequestError, TransactionLostError

__all__ = [
    "Answer",
    "Client",
    "OutcomeUnknownError",
    "Pipeline",
    "RequestError",
    "Transaction",
    "TransactionLostError",
    "Watch",
]
