"""Daemons with indexes, one after the other on one store, and what a look at every domain finds in their trees."""

import string

from hypothesis import event

import rrdstore
from tests.daemon.conversation import NUMBERS, Host, Peer
from tests.daemon.test_accounts import check as accounts_are_right
from xsadapter.engine import index, lives
from xsadapter.engine.daemon import Daemon
from xsadapter.wire import pack

OK = b"OK\0"
PLAIN = set((string.ascii_letters + string.digits + "-_").encode())
PROJECTIONS = {"name": ("name", b""), "uuid": ("vm", b"/vm/")}


def spelled(value):
    return "".join(chr(byte) if byte in PLAIN else f"@{byte:02x}" for byte in value)


def scan(tree, name):
    """By the spellings of values the domids that have them, as whoever reads the whole tree finds them."""
    leaf, prefix = PROJECTIONS[name]
    found = {}
    for path, node in tree.descend("/"):
        parts = path.split("/")
        if parts[1:3] == ["local", "domain"] and parts[4:] == [leaf] and parts[3] in map(str, range(100)):
            value = node.value.removeprefix(prefix)
            if value:
                found.setdefault(spelled(value), []).append(int(parts[3]))
    return {key: sorted(domids) for key, domids in found.items()}


def strings(reply):
    assert isinstance(reply, bytes), reply
    return reply.decode().split("\0")[:-1]


def looked_up(ask, name):
    """The same, as a client reads it; `ask` is given READ or DIRECTORY, and a path."""
    found = {}
    for key in strings(ask("DIRECTORY", f"/@index/{name}")):
        found[key] = [int(domid) for domid in strings(ask("DIRECTORY", f"/@index/{name}/{key}"))]
        assert ask("READ", f"/@index/{name}/{key}") == b"%d" % found[key][0]
        for domid in found[key]:
            assert ask("READ", f"/@index/{name}/{key}/{domid}") == b"%d" % domid
    return found


class Session:
    """One daemon after the other on one store, two clients of the toolstack, and domains that die."""

    def __init__(self, indexes=index.DEFAULT):
        self.host, self.store = Host(), rrdstore.memory()
        self.restart("boot", indexes)

    def restart(self, boot, indexes):
        self.daemon, self.indexes = Daemon(self.store, self.host, indexes=indexes), indexes
        self.daemon.begin(boot)
        self.peers = [Peer(self.daemon), Peer(self.daemon)]

    def die(self, domid):
        """And its number is free again."""
        self.host.kill(domid)
        lives.scan(self.daemon)
        self.host.lives.pop(domid)

    def take(self, step):
        """What was answered, and what everybody was told."""
        operation, *arguments = step
        if operation == "die":
            return self.die(*arguments)
        if operation == "restart":
            return self.restart(*arguments)
        number, payload, choice = arguments
        peer = self.peers[number]
        open_ones = [*peer.connection.transactions]
        transaction = [*open_ones, 0][choice % (len(open_ones) + 1)] if operation != "TRANSACTION_START" else 0
        reply = self.answer(peer, operation, payload, transaction)
        if transaction:
            event(f"{operation} in a transaction: {reply[:8]}")
        return reply

    def answer(self, peer, operation, payload, transaction):
        """The reply. If the request has to wait for another's turn, that one has slept too long."""
        peer.feed(pack(NUMBERS[operation], 1, transaction, payload))
        if peer.connection.held is not None:
            event("waited")
            self.daemon.flow.now += 1
            self.daemon.turns.expire()
            peer.feed(b"")
        [reply] = peer.take()
        return reply.payload

    def check(self):
        assert not [notice for notice in self.daemon.notices if notice.fault]
        accounts_are_right(self.daemon)
        tree = self.daemon.branch.tree
        assert not [*self.daemon.head.indexes.differences(tree)]
        for projection in self.indexes:
            for peer in self.peers:
                assert looked_up(self.asked(peer, 0), projection.name) == scan(tree, projection.name)
                for transaction in peer.connection.transactions.values():
                    ask = self.asked_then(transaction._tx.tree)
                    assert looked_up(ask, projection.name) == scan(transaction._tx.tree, projection.name)

    def asked(self, peer, transaction):
        return lambda operation, path: peer.ask(operation, path.encode() + b"\0", transaction)

    def asked_then(self, tree):
        """As a request in a transaction with this tree would be answered, but that nothing is remembered of it."""
        seen = self.daemon.head.indexes.then(tree, "/@index")

        def ask(operation, path):
            if operation == "READ":
                return index.node(seen, path, "value").value
            return "".join(f"{name}\0" for name in index.names(seen, path)).encode()

        return ask

    def check_past(self):
        """Every kept commit, also of daemons that had no index."""
        for commit in self.daemon.branch.log():
            with self.daemon.branch.at(commit.id) as snapshot:
                tree = snapshot.tree
            for projection in self.indexes:
                assert looked_up(self.asked_by_control(commit.id), projection.name) == scan(tree, projection.name)

    def asked_by_control(self, moment):
        def ask(operation, path):
            if operation == "READ":
                return self.peers[0].ask("CONTROL", f"history\0value\0{moment}\0{path}\0".encode())
            return self.peers[0].ask("CONTROL", f"history\0names\0{moment}\0{path}\x000\0".encode())[:-1]

        return ask
