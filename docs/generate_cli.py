"""Writes docs/cli.md from the commands' own help. `make docs` runs it; tests/repository/test_commands.py compares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrdstore.cli import main as rrdstore
from xsadapter.cli import main as xsadapter
from xsadapter.cli.xenstored import main as xenstored

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS: dict[str, click.Command] = {"rrdstore": rrdstore, "xsadapter": xsadapter, "xsadapter-xenstored": xenstored}
WIDTH = 96  # of the help texts, whatever the terminal

HEAD = """\
# The command lines

Made by `make docs` from the commands' own `--help`: change it there.
"""


def contexts(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    """A context of the command and of all below it, depth first, in the order of its help."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None and not found.hidden:
                yield from contexts(found, below, context)


def page() -> str:
    """The whole of docs/cli.md."""
    parts = [HEAD]
    for program, command in PROGRAMS.items():
        for context in contexts(command, program):
            level = "##" if context.parent is None else "###"
            parts.append(f"{level} {context.command_path}\n\n```text\n{context.command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(page())
