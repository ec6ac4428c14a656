"""What a hostile guest may write into its own ring, written by dom0 through the same grant: `scribble.py DOMID WHAT`.

A guest's own kernel mends its ring before it tells the daemon; so what its kernel watches is written once more, upon
which the daemon looks at the ring as it was left.
"""

import random
import struct
import sys

from xsadapter.client import Client
from xsadapter.transport.devices import Grants
from xsadapter.transport.system import Linux

_REQ_CONS, _REQ_PROD, _RSP_CONS, _RSP_PROD, _, _CONNECTION = range(512, 518)


def main(domid: str, what: str) -> None:
    """Scribble."""
    page = Grants(Linux()).map(int(domid), 1)
    words = page.bytes.cast("I")
    if what == "indexes":
        words[_REQ_PROD] = words[_REQ_CONS] + 5000
    elif what == "frame":
        at = words[_REQ_CONS]
        for number, byte in enumerate(struct.pack("=IIII", 2, 0, 0, 0xFFFFFFFF)):
            page.bytes[(at + number) % 1024] = byte
        words[_REQ_PROD] = at + 16
    elif what == "noise":
        noise = random.Random(7)
        for _ in range(20000):
            words[noise.randrange(1024)] = noise.getrandbits(32)
    elif what == "reconnect":
        words[_CONNECTION] = 1
    with Client() as toolstack:
        watched = f"/local/domain/{domid}/memory/target"
        toolstack.write(watched, toolstack.read(watched))
        print(*(line for line in toolstack.control("domains", domid).splitlines() if "domain" in line), sep="\n")
    words.release()
    page.close()


main(*sys.argv[1:])
