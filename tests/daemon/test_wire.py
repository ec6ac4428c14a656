"""Frames: any split gives the same frames; what breaks the protocol is found at its header."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsadapter.wire import ERROR_PAYLOADS, FrameError, FrameReader, pack

frames = st.lists(
    st.tuples(
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.one_of(st.binary(max_size=40), st.binary(min_size=4090, max_size=4096)),
    ),
    max_size=6,
)


def drain(reader):
    found = []
    while (frame := reader.take()) is not None:
        found.append(frame)
    return found


def as_bytes(frame):
    kind, request, transaction, payload = frame
    return struct.pack("=IIII", kind, request, transaction, len(payload)) + payload


@given(frames, st.data())
def test_frames_come_out_however_the_bytes_are_cut(sent, data):
    stream = b"".join(map(as_bytes, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader, found = FrameReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        found += drain(reader)
    assert found == sent
    assert reader.pending == 0


def test_frames_come_out_byte_by_byte_as_soon_as_they_are_complete():
    sent = [(2, 7, 0, b"/tool\0"), (6, 8, 0, b""), (11, 9, 3, b"/a\0\0\0")]
    reader, found, due, read = FrameReader(), [], [], 0
    for frame in sent:
        read += len(as_bytes(frame))
        due.append(read)
    for at, byte in enumerate(b"".join(map(as_bytes, sent)), 1):
        reader.feed(bytes([byte]))
        found += drain(reader)
        assert len(found) == sum(end <= at for end in due)
    assert found == sent


def test_the_bytes_are_those_of_the_protocol_document():
    assert pack(2, 7, 0, b"/tool\0").hex() == "020000000700000000000000060000002f746f6f6c00"
    assert pack(16, 7, 0, ERROR_PAYLOADS["ENOENT"]).hex() == ("10000000070000000000000007000000454e4f454e5400")
    assert pack(15, 0, 0, b"/a\0t\0").hex() == "0f0000000000000000000000050000002f61007400"


@pytest.mark.parametrize("length", [4097, 65536, 2**32 - 1])
def test_a_payload_over_4096_ends_the_stream_after_the_frames_before_it(length):
    reader = FrameReader()
    reader.feed(pack(2, 1, 0, b"/\0") + struct.pack("=IIII", 2, 2, 0, length) + bytes(100))
    assert reader.take() == (2, 1, 0, b"/\0")
    for _ in range(2):
        with pytest.raises(FrameError) as caught:
            reader.take()
        assert caught.value.length == length
        reader.feed(pack(2, 3, 0, b"/\0"))


def test_a_long_payload_is_refused_before_it_arrives():
    reader = FrameReader()
    reader.feed(struct.pack("=IIII", 2, 2, 0, 4097))
    with pytest.raises(FrameError):
        reader.take()


def test_a_payload_of_4096_is_a_frame():
    reader = FrameReader()
    reader.feed(pack(11, 1, 0, bytes(4096)))
    assert reader.take() == (11, 1, 0, bytes(4096))
