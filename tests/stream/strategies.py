"""Records of every kind, with every value that their fields have."""

from hypothesis import strategies as st

from xsadapter import stream

u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
descriptors = st.integers(0, 2**31 - 1)
texts = st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"x"))
names = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=12)
limits = st.lists(st.tuples(names, u32), max_size=5).map(tuple)
permissions = st.builds(stream.Permission, st.sampled_from("nrwb"), u16, st.booleans())


@st.composite
def connections(draw: st.DrawFn) -> stream.Connection:
    rings = st.builds(stream.Ring, u16, st.none() | u16.filter(lambda target: target != 0x7FF4), u32)
    unsent = draw(st.binary(max_size=30))
    return stream.Connection(
        draw(st.integers(1, 2**32 - 1)),
        draw(rings | st.builds(stream.Socket, descriptors)),
        draw(st.binary(max_size=30)),
        unsent,
        draw(st.integers(0, len(unsent))),
        draw(st.none() | st.integers(0, 2**64 - 1)),
    )


@st.composite
def nodes(draw: st.DrawFn) -> stream.Node:
    connection, transaction, access = draw(st.just((0, 0, 0)) | st.tuples(u32, u32.filter(bool), st.integers(0, 2)))
    entries = tuple(draw(st.lists(permissions, max_size=4)))
    return stream.Node(draw(texts), draw(st.binary(max_size=40)), entries, connection, transaction, access)


records = st.one_of(
    st.builds(stream.Global, st.none() | descriptors, st.none() | descriptors),
    connections(),
    st.builds(stream.Watch, u32, texts, texts, st.none() | st.integers(0, 0xFFFE)),
    st.builds(stream.Transaction, u32, u32),
    nodes(),
    st.builds(stream.Quotas, limits, limits),
    st.builds(stream.Domain, u16, u32, limits),
    st.builds(
        stream.Foreign,
        st.integers(9, 2**32 - 1),
        st.binary(max_size=5).map(lambda data: data.ljust(-(-len(data) // 8) * 8, b"\0")),
    ),
)
streams = st.lists(records, max_size=8)
