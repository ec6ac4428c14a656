"""The words of a command line, cut as glibc's getopt_long does by default.

Rules
1. Options may stand anywhere, until `--`; what is no option is an operand. A lone `-` is an operand.
2. A long option may be shortened as long as it is the only one, or all that it may be mean the same.
3. What is wrong stands in its place among the options as "?", with glibc's words for it: whether it matters
   is the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Option(NamedTuple):
    """One option: a letter, or "" for a long one alone; its long name, if any; whether a word follows."""

    letter: str
    name: str = ""
    takes: bool = False

    @property
    def key(self) -> str:
        """What it is called in a result."""
        return self.letter or self.name


class Cut(NamedTuple):
    """What a command line says: options in their order, each with its word, and operands."""

    options: list[tuple[str, str]]
    operands: list[str]


def cut(words: list[str], known: tuple[Option, ...]) -> Cut:
    """Options and operands. O(words x options)."""
    found = Cut([], [])
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            found.operands.extend(waiting)
        elif word.startswith("--"):
            _long(word, known, waiting, found)
        elif word.startswith("-") and len(word) > 1:
            _letters(word[1:], known, waiting, found)
        else:
            found.operands.append(word)
    return found


def _wrong(found: Cut, complaint: str) -> None:
    found.options.append(("?", complaint))


def _long(word: str, known: tuple[Option, ...], waiting: Iterator[str], found: Cut) -> None:
    name, given, value = word[2:].partition("=")
    exact = [option for option in known if option.name == name]
    meant = exact or [option for option in known if option.name and option.name.startswith(name)]
    if not meant:
        _wrong(found, f"unrecognized option '--{name}{given}{value}'")
    elif len(meant) > 1:
        maybe = " ".join(f"'--{option.name}'" for option in meant)
        _wrong(found, f"option '{word}' is ambiguous; possibilities: {maybe}")
    elif not meant[0].takes:
        if given:
            _wrong(found, f"option '--{meant[0].name}' doesn't allow an argument")
        else:
            found.options.append((meant[0].key, ""))
    elif given:
        found.options.append((meant[0].key, value))
    else:
        following = next(waiting, None)
        if following is None:
            _wrong(found, f"option '--{meant[0].name}' requires an argument")
        else:
            found.options.append((meant[0].key, following))


def _letters(letters: str, known: tuple[Option, ...], waiting: Iterator[str], found: Cut) -> None:
    for at, letter in enumerate(letters):
        meant = next((option for option in known if option.letter == letter), None)
        if meant is None:
            _wrong(found, f"invalid option -- '{letter}'")
        elif not meant.takes:
            found.options.append((letter, ""))
        else:
            rest = letters[at + 1 :] or next(waiting, None)
            if rest is None:
                _wrong(found, f"option requires an argument -- '{letter}'")
            else:
                found.options.append((letter, rest))
            return
