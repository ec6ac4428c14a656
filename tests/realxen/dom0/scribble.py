"""What a hostile guest may write into its own ring, written by dom0 through the same grant: `scribble.py DOMID WHAT`.

A guest's own kernel mends its ring before it tells the daemon; so what its kernel watches is written once more, upon
which the daemon looks at the ring as it was left, unless the guest was quicker.
"""

import random
import struct
import sys

from xsadapter.client import Client
from xsadapter.operations import Kind
from xsadapter.transport.devices import Grants
from xsadapter.transport.system import Linux

_REQ_CONS, _REQ_PROD, _, _, _, _CONNECTION = range(512, 518)
_noise = random.Random(7)


def scribble(page: memoryview, words: memoryview, what: str) -> None:
    """One attack."""
    if what == "indexes":
        words[_REQ_PROD] = (words[_REQ_CONS] + 5000) & 0xFFFFFFFF
    elif what == "frame":
        at = words[_REQ_CONS]
        for number, byte in enumerate(struct.pack("=IIII", 2, 0, 0, 0xFFFFFFFF)):
            page[(at + number) % 1024] = byte
        words[_REQ_PROD] = (at + 16) & 0xFFFFFFFF
    elif what == "noise":
        for _ in range(2000):
            words[_noise.randrange(1024)] = _noise.getrandbits(32)
    elif what == "reconnect":
        words[_CONNECTION] = 1


def main(domid: str, what: str) -> None:
    """Scribble, again and again, each time with something to tell the guest."""
    page = Grants(Linux()).map(int(domid), 1)
    words = page.bytes.cast("I")
    watched = f"/local/domain/{domid}/memory/target"
    with Client() as toolstack:
        target = toolstack.read(watched)
        if what == "introduce":
            # The way back from what came before: the ring begins anew.
            port = toolstack.read(f"/local/domain/{domid}/store/port")
            toolstack.ask(Kind.INTRODUCE, b"%b\0001\0%b\0" % (domid.encode(), port))
        for _ in range(40):
            scribble(page.bytes, words, what)
            toolstack.write(watched, target)
        print(*(line for line in toolstack.control("domains", domid).splitlines() if "domain" in line), sep="\n")
    words.release()
    page.close()


main(*sys.argv[1:])
