"""What is a path: tables, and an independent reading of the rules."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsadapter import paths
from xsadapter.errors import RequestError

HOME = "/local/domain/7"
ALPHABET = (string.ascii_letters + string.digits + "-_@").encode()

raw_paths = st.one_of(
    st.lists(st.sampled_from([b"/", b"a", b"B-_9", b"@", b"@x", b".", b"\xc3\xa4", b" ", b""]), max_size=8).map(
        b"".join
    ),
    st.binary(max_size=12),
)


def rule(raw: bytes, *, special: bool) -> str | None:
    """The path that `raw` means by the rules, read slowly; None if it is none."""
    if raw.startswith(b"@"):
        first, *rest = raw[1:].split(b"/")
        fits = special and set(first) <= set(ALPHABET) and all(part and set(part) <= set(ALPHABET) for part in rest)
        return raw.decode() if fits and len(raw) <= 3072 else None
    whole = raw if raw[:1] == b"/" else HOME.encode() + b"/" + raw
    if whole == b"/":
        return "/"
    parts = whole.split(b"/")[1:]
    fits = all(part and set(part) <= set(ALPHABET) for part in parts) and len(whole) <= 3072
    return whole.decode() if fits else None


def answer(function, raw):
    try:
        return function(raw, HOME)
    except RequestError as error:
        return None if error.name == "EINVAL" else error.name


@given(raw_paths)
def test_a_path_is_what_the_rules_say(raw):
    for _ in range(2):  # the second time it has been seen
        assert answer(paths.canonical, raw) == rule(raw, special=False)
        assert answer(paths.canonical_or_special, raw) == rule(raw, special=True)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", "/"),
        (b"/a", "/a"),
        (b"a", "/local/domain/7/a"),
        (b"a/b", "/local/domain/7/a/b"),
        (b"/a/@b", "/a/@b"),
        (b"/@b", "/@b"),
        (b"/" + b"a" * 3071, "/" + "a" * 3071),
    ],
)
def test_paths(raw, path):
    assert paths.canonical(raw, HOME) == path


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"//",
        b"/a/",
        b"/a//b",
        b"a/",
        b"/local/domain/",
        b"/a b",
        b"/a.b",
        b"/.xsadapter",
        b"/.xsadapter/boot",
        b".xsadapter",
        b"/a+b",
        b"/a:b",
        b"/\xe4",
        b"/a\n",
        b"/a\0",
        b"@",
        b"@releaseDomain",
        b"/" + b"a" * 3072,
        b"a" * 3060,
    ],
)
def test_what_is_no_path(raw):
    assert answer(paths.canonical, raw) is None


@pytest.mark.parametrize("raw", [b"@releaseDomain", b"@introduceDomain", b"@", b"@x/5", b"@nobody-knows"])
def test_special_names(raw):
    assert paths.canonical_or_special(raw, HOME) == raw.decode()
    assert paths.is_special(raw.decode())


@pytest.mark.parametrize("raw", [b"@/", b"@x/", b"@x//y", b"@x.y", b"@ "])
def test_what_is_no_special_name(raw):
    assert answer(paths.canonical_or_special, raw) is None


@given(st.lists(st.lists(st.sampled_from(["a", "b", "a-b", "a0"]), min_size=1, max_size=4).map("/".join), max_size=9))
def test_the_topmost_are_those_below_no_other(relative):
    given_ = [f"/{path}" for path in relative]
    wanted = {path for path in given_ if not any(path.startswith(f"{other}/") for other in given_)}
    assert sorted(paths.topmost(given_)) == sorted(wanted)


def test_relations():
    assert paths.parent("/a/b") == "/a"
    assert paths.parent("/a") == "/"
    assert paths.parent("/") == "/"
    assert paths.chain("/a/b/c") == ["/a", "/a/b", "/a/b/c"]
    assert paths.chain("/a") == ["/a"]
    assert paths.chain("/") == []


def test_what_has_been_seen_is_bounded():
    for number in range(40000):
        paths.canonical(b"/n%d" % number, HOME)
    assert len(paths._seen) <= paths._SEEN_MAX
