"""The migration stream: every record there and back, what C xenstored wrote, and what is no stream."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.strategies import records, streams
from xsadapter import stream

WRITTEN_BY_C = bytes.fromhex("""
    78656e73746f726500000001000000000100000008000000030000000600000002000000180000000100000000000000
    0000f47fe803000000000000000000000200000018000000020000000100000007000000000000000000000000000000
    030000001000000002000000030003002f61002f61000000020000001800000003000000010000000800000000000000
    0000000000000000030000001000000003000000030003002f61002f6100000002000000300000000400000001000000
    09000000000000000000000013000000000000000000000000000000030000004f4b0000000000000500000028000000
    00000000000000000f000000000001006e0000004072656c65617365446f6d61696e0000000000000500000028000000
    000000000000000011000000000001006e00000040696e74726f64756365446f6d61696e000000000500000018000000
    000000000000000002000000000001006e0000002f000000050000002000000000000000000000000600000000000100
    6e0000002f746f6f6c000000000000000500000028000000000000000000000010000000000001006e0000002f746f6f
    6c2f78656e73746f72656400000000000500000018000000000000000000000003000000000001006e0000002f610000
    0500000020000000000000000000000005000500000001006e0000002f612f620068656c6c6f00000000000000000000
""")
"""By Debian's C xenstored 4.17, with two watches, /a/b, and a live update that was asked for by connection 4."""

NOBODY = (stream.Permission("n", 0),)


def encoded(found: list[stream.Record], version: int = 2, order: str = "little") -> bytes:
    return b"".join(stream.encode(found, version, order))


def body(data: bytes) -> bytes:
    """A stream of one record, as bytes: its type and length, and the body."""
    return data[16:-8]


def one(kind: int, content: bytes, length: int | None = None, order: str = "<") -> bytes:
    size = len(content) if length is None else length
    return (
        struct.pack(">8sII", b"xenstore", 2, 1 if order == ">" else 0)
        + struct.pack(order + "II", kind, size)
        + content.ljust(-(-len(content) // 8) * 8, b"\0")
        + bytes(8)
    )


@given(streams, st.sampled_from(["little", "big"]))
def test_what_is_written_is_read(found, order):
    assert list(stream.decode(encoded(found, order=order))) == found


@given(streams)
def test_everything_is_aligned_and_lengths_count_the_nuls(found):
    assert all(len(piece) % 8 == 0 for piece in stream.encode(found))


@given(records)
def test_version_1_has_no_depth_and_no_features(record):
    (read,) = stream.decode(encoded([record], version=1))
    if isinstance(record, stream.Watch):
        assert read == stream.Watch(record.connection, record.path, record.token)
    elif isinstance(record, stream.Domain):
        assert read == stream.Domain(record.domid, 0, record.limits)
    else:
        assert read == record


def test_c_xenstored_s_stream_record_by_record():
    assert list(stream.decode(WRITTEN_BY_C)) == [
        stream.Global(3, 6),
        stream.Connection(1, stream.Ring(0, None, 1000)),
        stream.Connection(2, stream.Socket(7)),
        stream.Watch(2, b"/a", b"/a"),
        stream.Connection(3, stream.Socket(8)),
        stream.Watch(3, b"/a", b"/a"),
        stream.Connection(4, stream.Socket(9), unsent=struct.pack("<4I", 0, 0, 0, 3) + b"OK\0"),
        stream.Node(b"@releaseDomain", b"", NOBODY),
        stream.Node(b"@introduceDomain", b"", NOBODY),
        stream.Node(b"/", b"", NOBODY),
        stream.Node(b"/tool", b"", NOBODY),
        stream.Node(b"/tool/xenstored", b"", NOBODY),
        stream.Node(b"/a", b"", NOBODY),
        stream.Node(b"/a/b", b"hello", NOBODY),
    ]


def test_what_c_wrote_is_what_this_writes():
    assert encoded(list(stream.decode(WRITTEN_BY_C)), version=1) == WRITTEN_BY_C


def test_the_bytes_of_each_record():
    assert body(encoded([stream.Global(3, None)])).hex() == "01000000080000000300 0000ffffffff".replace(" ", "")
    assert body(encoded([stream.Node(b"/a", b"v", (stream.Permission("b", 7, stale=True),), 1, 2, 1)])).hex() == (
        "0500000018000000010000000200000003000100010001006201070 02f610076".replace(" ", "")
    )
    assert (
        body(encoded([stream.Watch(9, b"/a", b"t", 1)])).hex()
        == ("08000000180000000900000003000200010000002f6100740000000000000000"[: 2 * 8 + 2 * 24])
    )
    assert body(encoded([stream.Domain(5, 3, (("a", 258),))], order="big")).hex() == (
        "000000070000001000050001000000030000010261000000"
    )


@pytest.mark.parametrize("place", [12, 10, 8])
def test_a_watch_with_a_depth_is_read_where_c_puts_its_strings_too(place):
    content = struct.pack("<IHHHH", 4, 3, 2, 1, 0)[:place] + b"/a\0t\0"
    (found,) = stream.decode(one(8, content + bytes(-len(content) % 8)))
    assert found == stream.Watch(4, b"/a", b"t", None if place == 8 else 1)


@given(streams, st.data())
def test_whatever_is_cut_is_refused(found, data):
    whole = encoded(found)
    with pytest.raises(stream.StreamError):
        list(stream.decode(whole[: data.draw(st.integers(0, len(whole) - 1))]))


@given(streams, st.data())
def test_whatever_is_changed_is_read_or_refused(found, data):
    changed = bytearray(encoded(found))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.sampled_from([0, 1, 2, 5, 127, 255]))
    with contextlib.suppress(stream.StreamError):
        list(stream.decode(bytes(changed)))


CONNECTION = struct.pack("<IHHii", 1, 1, 0, 5, 0)
CONNECTION_, WATCH_, EXTENDED_, NODE_ = (
    f"record 0 ({name})" for name in ("CONNECTION_DATA", "WATCH_DATA", "WATCH_DATA_EXTENDED", "NODE_DATA")
)
WRONG = {
    "no header": (b"xenstore", "header", 0),
    "another ident": (b"xenstor3" + bytes(16), "header", 0),
    "version 3": (struct.pack(">8sII", b"xenstore", 3, 0) + bytes(8), "header", 8),
    "unknown flags": (struct.pack(">8sII", b"xenstore", 2, 2) + bytes(8), "header", 12),
    "no END": (struct.pack(">8sII", b"xenstore", 2, 0), "record 0", 16),
    "bytes after END": (encoded([]) + bytes(8), "record 0 (END)", 24),
    "END with a body": (one(0, bytes(8)), "record 0 (END)", 24),
    "a length beyond the end": (one(1, bytes(8), 1 << 20), "record 0 (GLOBAL_DATA)", 24),
    "a body too short": (one(1, bytes(4)), "record 0 (GLOBAL_DATA)", 24),
    "a body too long": (one(1, bytes(16)), "record 0 (GLOBAL_DATA)", 32),
    "connection 0": (one(2, bytes(24)), CONNECTION_, 24),
    "a kind of no connection": (one(2, struct.pack("<IHH", 1, 2, 0) + bytes(16)), CONNECTION_, 28),
    "descriptor -1": (one(2, struct.pack("<IHHii", 1, 1, 0, -1, 0) + bytes(8)), CONNECTION_, 32),
    "more begun than unsent": (one(2, CONNECTION + struct.pack("<HHI", 0, 2, 1) + b"x"), CONNECTION_, 42),
    "more unread than there is": (one(2, CONNECTION + struct.pack("<HHI", 9, 0, 0)), CONNECTION_, 48),
    "a path without its NUL": (one(3, struct.pack("<IHH", 1, 2, 1) + b"/a\0"), WATCH_, 32),
    "a NUL within a token": (one(3, struct.pack("<IHH", 1, 2, 3) + b"/\0a\0\0"), WATCH_, 34),
    "a path of no bytes": (one(3, struct.pack("<IHH", 1, 0, 1) + b"\0"), WATCH_, 32),
    "no strings anywhere": (one(8, struct.pack("<IHHHH", 1, 3, 3, 0, 0) + b"abcdefgh"), EXTENDED_, 32),
    "an entry that is no right": (
        one(5, struct.pack("<IIHHHHBBH", 0, 0, 2, 0, 0, 1, ord("x"), 0, 0) + b"/\0"), NODE_, 40
    ),
    "an access outside of a transaction": (one(5, struct.pack("<IIHHHH", 0, 0, 2, 0, 1, 0) + b"/\0"), NODE_, 36),
    "more values than there are": (one(6, struct.pack("<HH", 9, 9)), "record 0 (GLOBAL_QUOTA_DATA)", 28),
    "a name without its NUL": (one(7, struct.pack("<HHII", 1, 1, 0, 5) + b"abcd"), "record 0 (DOMAIN_DATA)", 36),
}  # fmt: skip


@pytest.mark.parametrize(("data", "record", "offset"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_its_place(data, record, offset):
    with pytest.raises(stream.StreamError) as caught:
        list(stream.decode(data))
    assert (caught.value.record, caught.value.offset) == (record, offset), caught.value
    assert str(caught.value).startswith(f"{record}, at byte {offset}: found ")


@pytest.mark.parametrize(
    "record",
    [
        stream.Node(b"/a", bytes(65536), ()),
        stream.Watch(1, bytes(65536), b""),
        stream.Connection(1, stream.Socket(1), unread=bytes(65536)),
        stream.Domain(1, 0, (("\u1234", 1),)),
        stream.Global(2**31),
    ],
    ids=lambda record: type(record).__name__,
)
def test_what_no_field_holds_is_not_written(record):
    with pytest.raises(stream.StreamError, match=r"record 0 \(\w+\)"):
        encoded([record])


def test_a_stream_of_another_version_is_not_written():
    with pytest.raises(stream.StreamError, match="version 3"):
        encoded([], version=3)


def node_of(domid: int) -> stream.Node:
    return stream.Node(b"/a", b"", (stream.Permission("n", domid),))


def test_bytes_that_are_alike_mean_another_thing_in_the_other_order():
    """What was taken apart once is remembered by its bytes: 1 of one order is 256, or 16,777,216, of the other."""
    for record, other in (
        (
            stream.Node(b"/a", b"", (stream.Permission("n", 1),)),
            stream.Node(b"/a", b"", (stream.Permission("n", 256),)),
        ),
        (stream.Domain(0, 0, (("nodes", 1),)), stream.Domain(0, 0, (("nodes", 1 << 24),))),
    ):
        assert list(stream.decode(encoded([record]))) == [record]
        assert list(stream.decode(b"".join(stream.encode([other], 2, "big")))) == [other]
        assert list(stream.decode(encoded([record]))) == [record]
