"""Xen's migration stream: what a xenstored tells its successor, as records and as bytes. No I/O.

    decode(data)      bytes to records, every field checked; StreamError names record, offset, found and expected
    encode(records)   records to bytes

The form is that of Xen's public document `xenstore-migration`; what C xenstored does differently is read too.
"""

from xsadapter.stream.reading import decode
from xsadapter.stream.records import (
    Connection,
    Domain,
    Foreign,
    Global,
    Node,
    Permission,
    Quotas,
    Record,
    Ring,
    Socket,
    StreamError,
    Transaction,
    Watch,
)
from xsadapter.stream.writing import encode

__all__ = [
    "Connection",
    "Domain",
    "Foreign",
    "Global",
    "Node",
    "Permission",
    "Quotas",
    "Record",
    "Ring",
    "Socket",
    "StreamError",
    "Transaction",
    "Watch",
    "decode",
    "encode",
]
