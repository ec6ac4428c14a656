"""After anything that can happen the indexes hold what a look at every domain finds, now and at every kept time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.searching import OK, Session
from xsadapter.engine import index

domids = st.sampled_from(["5", "6", "7", "12"])
homes = st.one_of(domids, domids, domids, st.sampled_from(["0", "x", "05", "65536"])).map("/local/domain/{}".format)
leaves = st.sampled_from(["name", "name", "name", "vm", "name/below", "other"])
nodes = st.tuples(homes, leaves).map("/".join)
values = st.sampled_from([b"web1", b"web1", b"web2", b"a b/@", b"", b"/vm/web1", b"/vm/", b"\xff\0"])
payloads = {
    "WRITE": st.tuples(nodes, values).map(lambda pair: pair[0].encode() + b"\0" + pair[1]),
    "RM": st.one_of(nodes, homes, st.sampled_from(["/local/domain", "/local"])).map(lambda path: path.encode() + b"\0"),
    "MKDIR": nodes.map(lambda path: path.encode() + b"\0"),
    "SET_PERMS": st.one_of(
        domids.map(lambda domid: f"/local/domain/{domid}\0n{domid}\0".encode()),
        st.tuples(homes | nodes, domids).map(lambda pair: f"{pair[0]}\0n{pair[1]}\0".encode()),
    ),
    "READ": nodes.map(lambda path: path.encode() + b"\0"),
    "TRANSACTION_START": st.just(b"\0"),
    "TRANSACTION_END": st.sampled_from([b"T\0", b"T\0", b"F\0"]),
}
weights = [*["WRITE"] * 5, *["RM", "SET_PERMS"] * 2, "TRANSACTION_START", "TRANSACTION_END", "MKDIR", "READ"]
requests = st.sampled_from(weights).flatmap(
    lambda operation: st.tuples(st.just(operation), st.integers(0, 1), payloads[operation], st.integers(0, 3))
)
deaths = st.tuples(st.just("die"), domids.map(int))
restarts = st.tuples(
    st.just("restart"),
    st.sampled_from(["boot", "boot", "boot", "another"]),
    st.sampled_from([index.DEFAULT, index.DEFAULT, index.DEFAULT[:1], ()]),
)
steps = st.lists(st.one_of(*[requests] * 8, deaths, restarts), max_size=40)


@settings(max_examples=150)
@given(st.sampled_from([index.DEFAULT, ()]), steps)
def test_an_index_is_what_a_look_at_every_domain_finds(indexes, taken):
    session = Session(indexes)
    for step in taken:
        session.take(step)
        session.check()
    session.check_past()


@settings(max_examples=150)
@given(st.lists(st.one_of(*[requests] * 8, deaths), max_size=40))
def test_no_answer_and_no_end_of_a_transaction_is_another_with_indexes(taken):
    """Neither a needless EAGAIN nor a change that is not made, nor an event more."""
    one, other = Session(), Session(())
    for step in taken:
        assert one.take(step) == other.take(step)
        assert [peer.events() for peer in one.peers] == [peer.events() for peer in other.peers]
    assert [*clients_nodes(one)] == [*clients_nodes(other)]


few = st.one_of(
    st.tuples(st.sampled_from([5, 6, 7]), st.sampled_from([b"web1", b"web2", b"web2"])).map(
        lambda pair: ("WRITE", b"/local/domain/%d/name\0%b" % pair)
    ),
    st.sampled_from([b"/local/domain/5", b"/local/domain/6/name", b"/local/domain/7", b"/local/domain"]).map(
        lambda path: ("RM", path + b"\0")
    ),
)


@settings(max_examples=400)
@given(st.lists(few, max_size=4), st.lists(few, min_size=1, max_size=2), st.lists(few, min_size=1, max_size=3))
def test_one_transaction_among_changes_of_the_same_names(first, inside, meanwhile):
    """It names and removes blindly, so it is committed whatever the others did."""
    session = Session()
    peer, other = session.peers
    for request in first:
        other.ask(*request)
    number = peer.start()
    answers = [peer.ask(*request, number) for request in inside]
    for request in meanwhile:
        other.ask(*request)
    end = peer.ask("TRANSACTION_END", b"T\0", number)
    assert end == OK or "ENOENT" in answers or ("RM" in {operation for operation, _ in inside} and end == "EAGAIN")
    session.check()


def clients_nodes(session):
    return (
        (path, node.value, node.meta)
        for path, node in session.daemon.branch.tree.descend("/")
        if not path.startswith("/.xsadapter/index")
    )
