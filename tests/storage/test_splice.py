"""What is spliced from the bytes of the version before is what encoding would give, or it is refused."""

from hypothesis import given
from hypothesis import strategies as st

from rrdstore.storage.codec import decode, encode
from rrdstore.storage.splice import Written
from rrdstore.tree.node import FANOUT, Bucket, Inode, Node, Stub, Wide
from tests.storage.test_codec import NUMBER, SOURCE, described

near = st.integers(NUMBER - 300, NUMBER - 1)
numbers = st.one_of(near, st.integers(1, NUMBER - 1))
lengths = st.one_of(st.just(3), st.integers(0, 20))
leaves = st.builds(
    lambda length, meta, created, modified: Node(bytes(length), meta, created, modified),
    lengths, st.sampled_from([b"", b"n0", b"n1"]), st.sampled_from([1, 2, 300]), st.integers(0, 70_000),
)  # fmt: skip
stubs = st.builds(Stub, numbers, st.just(SOURCE))
NAMES = st.text("abé", min_size=1, max_size=4)
buckets = st.dictionaries(NAMES, st.one_of(leaves, leaves, stubs), min_size=1, max_size=FANOUT)
sets = st.lists(st.one_of(st.none(), stubs), min_size=FANOUT, max_size=FANOUT).filter(any)


def container(entries):
    return Bucket(entries, 1) if isinstance(entries, dict) else Wide(entries, 99, 1)


def spliced(written, part, was, changes):
    """Whether all changes, each a key and what was there, could be put into the bytes of `was`."""
    kids = part.kids if isinstance(part, Node) else part
    for key, before in changes:
        now = kids.names[key] if isinstance(kids, Bucket) else kids.slots[key]
        if before is None or now is None or bool(before.number) != bool(now.number):
            return False
        if not (
            written.splice_number(was, key, now.number) if now.number else written.splice_value(was, key, now, before)
        ):
            return False
    return True


@given(st.one_of(buckets, sets), st.booleans(), st.data())
def test_versions_spliced_one_from_the_other(entries, in_node, data):
    def made(entries):
        kids = container(entries)
        return Inode(b"v", b"n0", 1, 2, kids) if in_node else kids

    was = made(entries)
    written = Written(*encode(was))
    for _ in range(data.draw(st.integers(1, 6))):
        entries = entries.copy()
        keys = list(entries if isinstance(entries, dict) else range(FANOUT))
        changes = []
        for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3, unique=True)):
            before = entries[key]
            same = isinstance(before, Node) and data.draw(st.booleans())
            if same:
                value = data.draw(st.binary(min_size=len(before.value), max_size=len(before.value)))
                entries[key] = Node(value, before.meta, before.created, data.draw(st.integers(0, 70_000)))
            else:
                others = leaves if isinstance(entries, dict) else st.none()  # a set comes or goes
                entries[key] = data.draw(st.one_of(stubs, others))
            if entries[key] is not before:
                changes.append((key, before))
        part = made(entries)
        if not spliced(written, part, was, changes):
            written = Written(*encode(part))
        assert described(decode(written.kind, bytes(written.data), NUMBER, SOURCE)) == described(part)
        was = part


def test_what_most_commits_change_is_spliced():
    names = {f"k{at}": Node(b"0000", b"n0", 1, at) for at in range(10)}
    was = Inode(b"", b"", 1, 1, Bucket({**names, "below": Stub(7, SOURCE), "more": Stub(70_000, SOURCE)}, 1))
    written = Written(*encode(was))
    after = Inode(b"", b"", 1, 1, Bucket({**was.kids.names, "k3": Node(b"1111", b"n0", 1, 200)}, 1))
    assert spliced(written, after, was, [("k3", names["k3"])])
    last = Inode(b"", b"", 1, 1, Bucket({**after.kids.names, "below": Stub(9000, SOURCE)}, 1))
    assert spliced(written, last, after, [("below", Stub(7, SOURCE))])
    assert described(decode(written.kind, bytes(written.data), NUMBER, SOURCE)) == described(last)


def test_what_does_not_fit_in_its_place_is_refused():
    names = {
        "a": Node(b"0000", b"n0", 1, 1),
        "b": Node(b"0000", b"n0", 1, 9),
        "c": Stub(7, SOURCE),
        "d": Stub(9, SOURCE),
    }
    was = Bucket(names, 1)
    refused = {
        "a": [
            Node(b"00000", b"n0", 1, 2), Node(b"0000", b"n1", 1, 2), Node(b"0000", b"n0", 2, 2),
            Node(b"0000", b"n0", 1, 300), Stub(8, SOURCE), Inode(b"0000", b"n0", 1, 2, Bucket({}, 1), 8),
        ],
        "c": [Stub(300, SOURCE), Node(b"", b"", 1, 2)],
    }  # fmt: skip
    for key, parts in refused.items():
        for part in parts:
            written = Written(*encode(was))
            assert not spliced(written, Bucket({**names, key: part}, 1), was, [(key, names[key])])
    fits = Bucket({**names, "a": Node(b"0001", b"n0", 1, 200)}, 1)
    assert spliced(Written(*encode(was)), fits, was, [("a", names["a"])])
