"""Patterns against regular expressions written apart from them, and by table."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rrdstore import InvalidPath, InvalidPattern, Pattern

NAMES = st.text("ab*\\", min_size=1, max_size=3)
PATHS = st.lists(NAMES, max_size=5).map(lambda names: "/" + "/".join(names))
TEXTS = st.one_of(
    st.just("**"),
    st.lists(st.sampled_from(["a", "b", "*", "\\*", "\\\\"]), min_size=1, max_size=3)
    .map("".join)
    .filter(lambda text: "**" not in re.sub(r"\\.", "_", text)),
)
PATTERNS = st.lists(TEXTS, max_size=5).map(lambda parts: "/" + "/".join(parts))


def expression(pattern: str) -> str:
    """The same pattern as a regular expression over the whole path."""
    if pattern == "/":
        return "/"
    made = ""
    for part in pattern[1:].split("/"):
        if part == "**":
            made += "(?:/[^/]+)*"
            continue
        tokens = re.findall(r"\\.|[^\\]", part)
        made += "/(?=[^/])" + "".join("[^/]*" if token == "*" else re.escape(token[-1]) for token in tokens)
    return f"(?:{made})|/" if set(pattern[1:].split("/")) == {"**"} else made


@given(PATTERNS, PATHS)
@example("/**", "/")
@example("/**/**", "/")
@example("/a/**", "/a")
@example("/**/a/**/b", "/a/a/b/a/b")
@example("/*", "/")
def test_a_pattern_means_what_its_regular_expression_means(pattern: str, path: str) -> None:
    assert Pattern(pattern).matches(path) == (re.fullmatch(expression(pattern), path) is not None)


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("/", "/", True),
        ("/", "/a", False),
        ("/**", "/", True),
        ("/**", "/a/b/c", True),
        ("/stats/**", "/stats", True),
        ("/stats/**", "/stats/a/b", True),
        ("/stats/**", "/statsx", False),
        ("/stats/*", "/stats", False),
        ("/stats/*", "/stats/a", True),
        ("/stats/*", "/stats/a/b", False),
        ("/vm/*/name", "/vm/1/name", True),
        ("/vm/*/name", "/vm/name", False),
        ("/vm/**/name", "/vm/name", True),
        ("/vif-*/x", "/vif-0/x", True),
        ("/vif-*/x", "/vif-/x", True),
        ("/vif-*/x", "/vbd-0/x", False),
        ("/a?", "/a?", True),
        ("/a?", "/ab", False),
        (r"/\*", "/*", True),
        (r"/\*", "/a", False),
    ],
)
def test_by_table(pattern: str, path: str, meant: bool) -> None:
    assert Pattern(pattern).matches(path) is meant


@given(PATTERNS, PATHS)
def test_all_that_is_meant_lies_at_or_below_the_prefix(pattern: str, path: str) -> None:
    prefix = Pattern(pattern).prefix()
    names = tuple(name for name in path[1:].split("/") if name)
    assert not Pattern(pattern).matches(path) or names[: len(prefix)] == prefix


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("/", ()),
        ("/a/b", ("a", "b")),
        ("/a/*/b", ("a",)),
        ("/a/b*/c", ("a",)),
        ("/**/b", ()),
        (r"/\*\\/x/**", ("*\\", "x")),
    ],
)
def test_the_prefix_is_what_is_fixed(pattern: str, prefix: tuple[str, ...]) -> None:
    assert Pattern(pattern).prefix() == prefix


@pytest.mark.parametrize(
    "pattern", ["", "a", "a/*", "/a/", "//", "/a//b", "/a**", "/**a", "/***", "/\\", r"/\a", "/\0"]
)
def test_what_no_path_can_match_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern) as refused:
        Pattern(pattern)
    assert refused.value.text == pattern
    assert refused.value.found in str(refused.value)
    assert refused.value.expected in str(refused.value)


def test_bad_paths_and_types_are_told() -> None:
    with pytest.raises(InvalidPath):
        Pattern("/**").matches("a")
    with pytest.raises(TypeError, match="bytes"):
        Pattern(b"/a")  # type: ignore[arg-type]  # on purpose


def test_patterns_are_values() -> None:
    assert Pattern("/a/*") == Pattern("/a/*")
    assert len({Pattern("/a/*"), Pattern("/a/*"), Pattern("/a")}) == 2
    assert str(Pattern("/a/*")) == "/a/*"
    assert repr(Pattern("/a/*")) == "Pattern('/a/*')"
    assert Pattern("/a") != "/a"


def test_many_stars_are_not_slow() -> None:
    """Backtracking over every star would take 2^30 steps."""
    assert not Pattern("/" + "/".join(["**", "a"] * 15)).matches("/" + "/".join("a" * 14 + "b" * 30))
    assert not Pattern("/" + "*a" * 15).matches("/" + "a" * 14 + "b" * 30)
