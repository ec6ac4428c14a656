"""Random requests of several clients, privileged or not, in and out of transactions, against the model."""

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.daemon.conversation import Peer, fresh_daemon, pair
from tests.daemon.model import Client, Model
from xsadapter.engine import private

PARTS = ["a", "b", "c"]
IDENTITIES = [(0, True), (0, True), (5, False), (6, False)]

absolute = st.lists(st.sampled_from(PARTS), max_size=3).map(lambda parts: "/" + "/".join(parts))
relative = st.lists(st.sampled_from(PARTS), min_size=1, max_size=2).map("/".join)
places = st.one_of(absolute, absolute, absolute, relative)
lists = st.lists(
    st.tuples(st.sampled_from("nrwb"), st.sampled_from([0, 5, 6])).map(lambda pair: f"{pair[0]}{pair[1]}".encode()),
    min_size=1,
    max_size=3,
).map(tuple)

requests = st.one_of(
    st.tuples(st.just("READ"), places),
    st.tuples(st.just("DIRECTORY"), places),
    st.tuples(st.just("GET_PERMS"), places),
    st.tuples(st.just("WRITE"), places, st.sampled_from([b"", b"1", b"2"])),
    st.tuples(st.just("WRITE"), places, st.sampled_from([b"", b"1", b"2"])),
    st.tuples(st.just("MKDIR"), places),
    st.tuples(st.just("RM"), places),
    st.tuples(st.just("SET_PERMS"), places, lists),
    st.tuples(st.just("WATCH"), places, st.sampled_from([b"t", b"u"]), st.none() | st.integers(0, 2)),
    st.tuples(st.just("UNWATCH"), places, st.sampled_from([b"t", b"u"])),
    st.tuples(st.just("TRANSACTION_START")),
    st.tuples(st.just("TRANSACTION_START")),
    st.tuples(st.just("TRANSACTION_END"), st.sampled_from([True, True, True, False])),
)
steps = st.lists(st.tuples(st.integers(0, 3), requests, st.integers(0, 3)), max_size=40)


def payload(operation, arguments):
    if operation == "TRANSACTION_START":
        return b"\0"
    if operation == "TRANSACTION_END":
        return b"T\0" if arguments[0] else b"F\0"
    path = arguments[0].encode() + b"\0"
    if operation == "WRITE":
        return path + arguments[1]
    if operation == "SET_PERMS":
        return path + b"".join(entry + b"\0" for entry in arguments[1])
    if operation == "WATCH":
        return path + arguments[1] + b"\0" + (b"" if arguments[2] is None else b"%d\0" % arguments[2])
    if operation == "UNWATCH":
        return path + arguments[1] + b"\0"
    return path


def meant(client, operation, arguments):
    """The arguments as the model takes them: paths absolute."""
    if operation.startswith("TRANSACTION"):
        return arguments
    home = f"/local/domain/{client.domid}/"
    path, *rest = arguments
    strip = 0 if path.startswith("/") else len(home)
    path = path if path.startswith("/") else home + path
    return (path, *rest, strip) if operation == "WATCH" else (path, *rest)


class World:
    """The daemon and the model, asked the same."""

    def __init__(self):
        self.daemon, self.model = fresh_daemon(), Model()
        self.peers = [Peer(self.daemon, domid, privileged=privileged) for domid, privileged in IDENTITIES]
        self.clients = [Client(domid, privileged) for domid, privileged in IDENTITIES]

    def ask(self, number, request, transaction=0):
        """Ask both, compare the reply and everybody's events; the reply."""
        operation, *arguments = request
        peer, client = self.peers[number], self.clients[number]
        found = peer.exchange(operation, payload(operation, arguments), transaction)
        expected = self.model.ask(client, operation, meant(client, operation, tuple(arguments)), transaction)
        told = [pair(message) for message in found if message.kind == "EVENT"]
        [reply] = [message for message in found if message.kind != "EVENT"]
        got = reply.payload[:-1].decode() if reply.kind == "ERROR" else reply.payload
        assert got == expected, (request, transaction)
        before = told[: len(told) - len(client.late)]
        assert before == client.events, request
        assert told[len(before) :] == client.late
        assert found.index(reply) == len(before), "own events come before the reply, a first event after it"
        client.events.clear()
        client.late.clear()
        for other, watching in zip(self.peers, self.clients, strict=True):
            if other is not peer:
                assert other.events() == watching.events, request
                watching.events.clear()
        return got

    def compare_trees(self):
        assert not self.daemon.notices
        assert {
            path: (node.value, tuple(node.meta.split(b"\0")[:-1]))
            for path, node in self.daemon.branch.tree.descend("/")
            if not path.startswith(private.ROOT)
        } == self.model.tree


@settings(max_examples=150)
@given(steps)
def test_replies_events_and_trees_are_the_models(asked):
    world = World()
    for number, request, choice in asked:
        open_ones = world.clients[number].transactions
        transaction = 0
        if open_ones and request[0] not in {"WATCH", "UNWATCH", "TRANSACTION_START"}:
            transaction = [0, *open_ones][choice % (len(open_ones) + 1)]
        world.ask(number, request, transaction)
    world.compare_trees()


# One transaction among changes of others, on few enough places that they meet.

near = st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/a/c", "/b"])
reads = st.tuples(st.sampled_from(["READ", "DIRECTORY", "GET_PERMS"]), near)
changes = st.one_of(
    st.tuples(st.just("WRITE"), near, st.sampled_from([b"1", b"2"])),
    st.tuples(st.just("MKDIR"), near),
    st.tuples(st.just("RM"), near),
    st.tuples(st.just("SET_PERMS"), near, lists),
)


@settings(max_examples=500)
@given(
    st.lists(changes, max_size=5),
    st.lists(st.one_of(reads, changes), min_size=1, max_size=4),
    st.lists(changes, min_size=1, max_size=3),
    st.sampled_from([0, 2]),
)
def test_a_transaction_ends_as_if_it_had_run_at_its_end(first, inside, meanwhile, who):
    world = World()
    for watched in ("/", "/a/b", "/a/b/c"):
        world.ask(1, ("WATCH", watched, b"t", None))
    if who:
        world.ask(0, ("SET_PERMS", "/", (b"b0",)))
    for request in first:
        world.ask(0, request)
    transaction = int(world.ask(who, ("TRANSACTION_START",))[:-1])
    for request in inside:
        world.ask(who, request, transaction)
    for request in meanwhile:
        world.ask(0, request)
    event(str(world.ask(who, ("TRANSACTION_END", True), transaction)))
    world.compare_trees()
