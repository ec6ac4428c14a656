"""Which paths there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdstore.errors import InvalidPath
from rrdstore.tree.path import join, split

GOOD = {
    "/": (),
    "/a": ("a",),
    "/a/b/c": ("a", "b", "c"),
    "/ ": (" ",),
    "/.": (".",),
    "/../x": ("..", "x"),
    "/@index/name": ("@index", "name"),
    "/\xe9": ("\xe9",),
    "/e\u0301": ("e\u0301",),
    "/\U0001f600/\n": ("\U0001f600", "\n"),
    "/" + "/".join("x" * 1536): ("x",) * 1536,
    "/" + "n" * 5000: ("n" * 5000,),
}

BAD = {
    "": "does not start with '/'",
    "a": "does not start with '/'",
    "a/b": "does not start with '/'",
    "@releaseDomain": "does not start with '/'",
    "//": "has an empty component",
    "//a": "has an empty component",
    "/a/": "has an empty component",
    "/a//b": "has an empty component",
    "/a\0": "holds a NUL",
    "/\0": "holds a NUL",
    "/a/b\0c/d": "holds a NUL",
    "/\ud800": "is not UTF-8",
    "/a/\udcff": "is not UTF-8",
}


@pytest.mark.parametrize("path", GOOD, ids=lambda path: ascii(path[:20]))
def test_a_good_path_has_its_components(path: str) -> None:
    assert split(path) == GOOD[path]
    assert join(GOOD[path]) == path


@pytest.mark.parametrize("path", BAD, ids=ascii)
def test_a_bad_path_is_refused_with_its_reason(path: str) -> None:
    for _ in range(2):  # the second time too, though good ones are remembered
        with pytest.raises(InvalidPath) as refused:
            split(path)
        assert (refused.value.path, refused.value.reason) == (path, BAD[path])


@pytest.mark.parametrize("path", [b"/a", None, 7, 1.5, ("a",), ["a"], {}], ids=repr)
def test_what_is_no_str_is_no_path(path: object) -> None:
    with pytest.raises(TypeError, match=f"a path is a str, not {type(path).__name__}"):
        split(path)


@given(st.lists(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)))
def test_any_components_make_a_path_and_come_out_of_it(names: list[str]) -> None:
    assert split(join(tuple(names))) == tuple(names)


@given(st.text(st.sampled_from("/ab\0\ud800")))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        names = split(text)
    except InvalidPath:
        assert text[:1] != "/" or "//" in text or text[-1] == "/" or {*text} & {"\0", "\ud800"}
    else:
        assert join(names) == text
        assert all(names)
        assert not any({*name} & {"/", "\0", "\ud800"} for name in names)


def test_a_name_is_one_object_wherever_it_stands():
    first, second = split("/one-name/x"), split(f"/y/{'one-'}name")
    assert first[0] is second[1]
