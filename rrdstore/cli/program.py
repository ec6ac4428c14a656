"""The program as a whole: how a command is declared, how errors and exit codes come out.

Rule: an error is one line on stderr, `rrdstore: ...`, never a traceback, and its class decides the exit code
by the table EXIT_CODES. Nothing else in the command line looks at exit codes but for PARTLY, which only
the command itself can know.
"""

from __future__ import annotations

import inspect
import re
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import click

import rrdstore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OK, ERROR, USAGE, PARTLY, NO_STORE, LOCKED, MISSING = 0, 1, 2, 3, 10, 11, 12

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (rrdstore.NoStore, NO_STORE),
    (rrdstore.Locked, LOCKED),
    (rrdstore.InvalidName, USAGE),
    (rrdstore.InvalidPath, USAGE),
    (rrdstore.InvalidSize, USAGE),
    (rrdstore.InvalidWhen, USAGE),
    (rrdstore.ConfigError, USAGE),
    (rrdstore.PolicyError, USAGE),
    (rrdstore.InvalidPattern, USAGE),
    (rrdstore.SeriesError, USAGE),
    (rrdstore.TooSmall, USAGE),
    (rrdstore.NotInstalled, MISSING),
    (rrdstore.StoreError, ERROR),
    (OSError, ERROR),
)
"""The first class that fits decides."""

_AGAIN = 8
_MINUS = re.compile(r"-[0-9].*", re.DOTALL)


class Program(click.Group):
    """The group of all verbs, listed under headings; the border where errors become lines."""

    def __init__(self, *args: Any, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.sections: dict[str, list[str]] = {}

    def section(self, heading: str, *commands: click.Command) -> None:
        """Add commands under a heading of the help, in this order."""
        for command in commands:
            self.add_command(command)
            self.sections.setdefault(heading, []).append(command.name or "")

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """The names, in the order of the help."""
        return [name for names in self.sections.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """One list a section."""
        width = max(map(len, self.commands))
        for heading, names in self.sections.items():
            with formatter.section(heading):
                room = formatter.width - width - 4
                formatter.write_dl(
                    [(f"{name:<{width}}", self.commands[name].get_short_help_str(room)) for name in names]
                )

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and exit; with `standalone_mode` off, click's own way, for callers in Python."""
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        try:
            code: Any = run()
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "rrdstore"
            said, code = f"{error.format_message().rstrip('.')}; see '{path} --help'", USAGE
        except click.ClickException as error:
            said, code = error.format_message(), ERROR
        except click.Abort:
            said, code = "interrupted", ERROR
        except (rrdstore.StoreError, OSError) as error:
            said, code = describe(error), exit_code(error)
        else:
            sys.exit(code if isinstance(code, int) else OK)
        complain(said)
        sys.exit(code)


class Verb(click.Command):
    """A command.

    With `moments` among its arguments, `-2h` is the same as `2h` and no option: nothing else there begins with a
    minus and a digit. One that `reads`, and prints nothing before it has read all, is run again if a writer has
    thinned what it was reading.
    """

    def __init__(self, *args: Any, moments: bool = False, reads: bool = False, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self._moments, self._reads = moments, reads

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's, with the minus of moments taken off."""
        if self._moments:
            args = [arg[1:] if _MINUS.fullmatch(arg) else arg for arg in args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Click's, as often as needed."""
        for _ in range(_AGAIN if self._reads else 0):
            with suppress(rrdstore.Thinned):
                return super().invoke(ctx)
        return super().invoke(ctx)


def verb(name: str, *examples: str, moments: bool = False, reads: bool = False) -> Callable[[Callable[..., Any]], Verb]:
    """Declare a command: its help is the docstring and an Example part of these lines."""

    def declare(function: Callable[..., Any]) -> Verb:
        text = inspect.cleandoc(function.__doc__ or "")
        shown = "\n".join(f"  {line}" for line in examples)
        text = f"{text}\n\n\b\nExample:\n{shown}"
        return click.command(name, cls=Verb, help=text, moments=moments, reads=reads)(function)

    return declare


def complain(said: str) -> None:
    """One line on stderr."""
    click.echo(f"rrdstore: {' '.join(said.split())}", err=True)


def describe(error: Exception) -> str:
    """The sentence of an error."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def exit_code(error: Exception) -> int:
    """What the program ends with after this error."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def each(names: Sequence[str], act: Callable[[str], object]) -> int:
    """Do something to each of several; complain of those that fail, and the exit code of the whole.

    One that stands alone fails as it is; of several, PARTLY says that some were done.
    """
    if len(names) == 1:
        act(names[0])
        return OK
    codes = []
    for name in names:
        try:
            act(name)
        except rrdstore.Thinned:
            raise
        except rrdstore.StoreError as error:
            complain(describe(error))
            codes.append(exit_code(error))
    if not codes:
        return OK
    return PARTLY if len(codes) < len(names) else codes[0]
