r"""Patterns: which places of a tree are meant.

    pattern   := "/" | ("/" component)+
    component := "**" | text              "**" is any number of components, none too
    text      := (character | "*" | "\*" | "\\")+    "*" is any run of characters in one component, none too,
                                           but a component has at least one: alone it is any one component

Rule: a pattern means whole paths: "/stats/**" is "/stats" and all below it, "/stats/*" the places right
below it, "/vm/*/name" one name of each. All else is itself: no classes, no "?". A backslash takes a star
or a backslash as it is. What no path could ever match is refused, InvalidPattern.
Cost: O(components of the pattern x of the path), no backtracking beyond the last star, so no path that a
stranger chooses is slow. Prior art: gitignore's "**"; shells' globs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

from rrdstore.errors import InvalidPath, InvalidPattern
from rrdstore.tree.path import split

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Star:
    """A run: of components in a pattern, of characters in a component."""


STAR = _Star()
Part = str | _Star
Component = tuple[Part, ...] | _Star


class Pattern:
    """One pattern; equal and hashed by its text. InvalidPattern (TypeError if not a str)."""

    __slots__ = ("_components", "_exact", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._components = _parsed(text)
        self._exact = _exact(self._components)

    def matches(self, path: str) -> bool:
        """Whether the place `path` is meant; InvalidPath."""
        return self.covers(split(path))

    def covers(self, names: tuple[str, ...]) -> bool:
        """The same, of a path in components."""
        if self._exact is not None:
            return names == self._exact
        return _fits(self._components, names)

    def prefix(self) -> tuple[str, ...]:
        """The leading components that are fixed: all that is meant lies at or below them."""
        names: list[str] = []
        for component in self._components:
            if isinstance(component, _Star) or STAR in component:
                break
            names.append("".join(cast("tuple[str, ...]", component)))
        return tuple(names)

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Pattern) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


@lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[Component, ...]:
    if not isinstance(text, str):
        raise TypeError(f"a pattern is a str, not {type(text).__name__}")
    try:
        names = split(text)
    except InvalidPath as fault:
        raise InvalidPattern(text, fault.reason, "a path with '*' and '**' in it, such as '/stats/**'") from None
    return tuple(_component(text, name) for name in names)


def _component(text: str, name: str) -> Component:
    if name == "**":
        return STAR
    parts: list[Part] = []
    characters = iter(name)
    for character in characters:
        if character == "*":
            if parts and parts[-1] is STAR:
                raise InvalidPattern(text, f"the component {name!r}", "'**' as a whole component, or one '*'")
            parts.append(STAR)
        elif character == "\\":
            taken = next(characters, "")
            if taken not in {"*", "\\"}:
                raise InvalidPattern(text, f"'\\{taken}'", r"'\*' or '\\'")
            parts.append(taken)
        else:
            parts.append(character)
    return tuple(parts)


def _exact(components: tuple[Component, ...]) -> tuple[str, ...] | None:
    """The one path that is meant, if there is no star."""
    names: list[str] = []
    for component in components:
        if isinstance(component, _Star) or STAR in component:
            return None
        names.append("".join(cast("tuple[str, ...]", component)))
    return tuple(names)


def _fits(parts: Sequence[Part | Component], items: Sequence[str]) -> bool:
    """Whether the items are what the parts say, in order; a star takes any run of items.

    What a star may take only grows, and only the last star has to be tried again.
    """
    part = item = 0
    star = taken = -1
    while item < len(items):
        if part < len(parts) and parts[part] is STAR:
            star, taken = part, item
            part += 1
        elif part < len(parts) and _is(cast("str | tuple[Part, ...]", parts[part]), items[item]):
            part += 1
            item += 1
        elif star >= 0:
            taken += 1
            part, item = star + 1, taken
        else:
            return False
    return all(rest is STAR for rest in parts[part:])


def _is(part: str | tuple[Part, ...], item: str) -> bool:
    """A character of a component, or a component of a path."""
    if isinstance(part, str):
        return part == item
    return _fits(part, item)
