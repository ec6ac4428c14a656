"""The examples of a Markdown file, and how a shown output is compared. What is run and how: test_documentation.py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+) *(?P<language>[\w+-]*)")
ASSIGNMENT = re.compile(r"^\w+=\S*\s+")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a file, its text without the fence and its indentation."""

    language: str
    line: int  # of its first line of text, from 1
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block and the output that is shown below it, line by line; none shown is none compared."""

    line: int
    text: str
    shown: tuple[str, ...]

    @property
    def programs(self) -> tuple[str, ...]:
        """The first two words of each part of it, assignments aside: `A=b xsadapter run -x | cat` is two programs."""
        parts = (_without_assignments(part.strip()) for part in re.split(r"\|\|?|&&|;|\n", self.text))
        return tuple(" ".join(part.split()[:2]) for part in parts if part)


def _without_assignments(part: str) -> str:
    while found := ASSIGNMENT.match(part):
        part = part[found.end() :]
    return part


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown text, in order."""
    opened, first, body = None, 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if opened is None:
            if opened := FENCE.match(line):
                first, body = number + 1, []
        elif line.strip() == opened["fence"]:
            yield Block(opened["language"], first, "\n".join(body) + "\n")
            opened = None
        else:
            body.append(line.removeprefix(opened["indent"]))
    if opened is not None:
        raise ValueError(f"the block at line {first - 1} is not closed")


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block: `$ ` begins one, `> ` continues it, all else is its output."""
    line, words, shown = 0, list[str](), list[str]()
    for number, text in enumerate(block.text.splitlines(), block.line):
        if text.startswith("$ "):
            if words:
                yield Command(line, "\n".join(words), _trimmed(shown))
            line, words, shown = number, [text[2:]], []
        elif not words:
            raise ValueError(f"line {number}: output before the first command")
        elif text.startswith("> ") and not shown:
            words.append(text[2:])
        else:
            shown.append(text)
    if words:
        yield Command(line, "\n".join(words), _trimmed(shown))


def _trimmed(shown: list[str]) -> tuple[str, ...]:
    """Without the empty lines at the end, which only separate it from the next command."""
    while shown and not shown[-1].strip():
        shown = shown[:-1]
    return tuple(shown)


def matches(shown: tuple[str, ...], output: str) -> bool:
    """Whether `output` is what is shown: `...` alone on a line is any lines, inside of a line any characters."""
    pattern = ""
    for line in shown:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += "[^\n]*?".join(re.escape(part) for part in line.rstrip().split("...")) + "\n"
    printed = "".join(line.rstrip() + "\n" for line in output.rstrip().splitlines())
    return re.fullmatch(pattern, printed) is not None
