import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.errors import Corrupt
from rrdstore.storage.codec import INLINE, decode, encode, is_inline, references, referred
from rrdstore.tree.node import FANOUT, Bucket, Inode, Node, Stub, Wide

NUMBER = (1 << 40) + 5
NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, 1 << 20), st.integers(0, (1 << 63)))
BELOW = st.one_of(st.integers(NUMBER - 200, NUMBER - 1), st.integers(1, NUMBER - 1))
NAMES = st.one_of(
    st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=5), st.text("ab", max_size=300)
)
BYTES = st.one_of(st.binary(max_size=8), st.binary(max_size=400))


class Source:
    keeps = True

    def load(self, number):
        raise AssertionError("nothing is loaded here")


SOURCE = Source()
leaves = st.builds(Node, BYTES, st.one_of(st.just(b"n0"), BYTES), NUMBERS, NUMBERS).map(
    lambda node: node if is_inline(node) else Node(node.value[:90], node.meta[:90], node.created, node.modified)
)
stubs = st.builds(Stub, BELOW, st.just(SOURCE))
buckets = st.dictionaries(NAMES, st.one_of(leaves, stubs), max_size=70).map(lambda names: Bucket(names, 1))
wides = st.builds(
    Wide,
    st.lists(st.one_of(st.none(), stubs), min_size=FANOUT, max_size=FANOUT).filter(any),
    st.integers(33, 1 << 31),
    st.just(1),
)
nodes = st.builds(Inode, BYTES, BYTES, NUMBERS, NUMBERS, st.one_of(st.none(), buckets, wides))


def described(part):
    """Everything of a part that counts."""
    if part is None:
        return None
    if isinstance(part, Stub):
        return part.number
    if isinstance(part, Node):
        return part.value, part.meta, part.created, part.modified, described(part.kids)
    if isinstance(part, Bucket):
        return {name: described(node) for name, node in part.names.items()}
    return part.count, [described(below) for below in part.slots]


@given(st.one_of(nodes, buckets, wides))
def test_what_is_decoded_is_what_was_encoded(part):
    kind, data = encode(part)
    found = decode(kind, data, NUMBER, SOURCE)
    assert described(found) == described(part)
    assert found.number == NUMBER
    assert isinstance(found, type(part))
    if isinstance(found, Node) and found.kids is not None:
        assert found.kids.number == NUMBER


@given(st.one_of(nodes, buckets, wides))
def test_references_are_those_of_the_stubs(part):
    kind, data = encode(part)
    container = part.kids if isinstance(part, Node) else part
    expected = {}
    if isinstance(container, Bucket):
        expected = {name: node.number for name, node in container.names.items() if isinstance(node, Stub)}
    elif isinstance(container, Wide):
        expected = [below.number if below else 0 for below in container.slots]
    found = references(kind, data, NUMBER)
    assert found == expected
    assert referred(found) == [number for number in (found.values() if isinstance(found, dict) else found) if number]


@given(nodes, st.data())
def test_bytes_that_end_early_are_corrupt_or_complete(node, data):
    kind, encoded = encode(node)
    at = data.draw(st.integers(0, max(0, len(encoded) - 1)))
    with pytest.raises(Corrupt):
        decode(kind, encoded[:at], NUMBER, SOURCE)


@pytest.mark.parametrize("kind", [0, 4, 9])
def test_kinds_that_are_no_part_of_a_tree(kind):
    with pytest.raises(Corrupt, match="object 5"):
        decode(kind, b"\0" * 20, 5, SOURCE)
    with pytest.raises(Corrupt, match="object 5"):
        references(kind, b"\0" * 20, 5)


def test_a_leaf_is_inside_its_parent_up_to_the_limit():
    assert is_inline(Node(b"v" * INLINE, b"", 1, 1))
    assert not is_inline(Node(b"v" * INLINE, b"m", 1, 1))
    assert not is_inline(Inode(b"", b"", 1, 1, Bucket({}, 1)))


def test_a_bucket_of_a_toolstack_is_small():
    names = {f"backend-{i}": Node(b"/local/domain/0/x", b"n0,r17", 1_000_000 + i, 1_000_900) for i in range(20)}
    _, data = encode(Bucket(names, 1))
    assert len(data) / 20 < 17 + 10 + 12
