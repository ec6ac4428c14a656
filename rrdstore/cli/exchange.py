"""Verbs that carry a store elsewhere: dump, restore."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from rrdstore import interchange
from rrdstore.cli.opening import dry_run_option, json_option, reading
from rrdstore.cli.output import print_json
from rrdstore.cli.program import OK, PARTLY, complain, verb
from rrdstore.cli.upkeep import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


@verb("dump", "rrdstore -C host.rrdb dump > host.jsonl", "rrdstore -C host.rrdb dump | gzip > host.jsonl.gz")
def dump() -> int:
    """Write the whole store to standard output.

    Every kept commit, branches, tags, pins, policies: one JSON object a line, for `restore` and for other
    programs; the format is at the top of rrdstore/interchange. A writer may go on meanwhile; if it thins a commit
    before that was written, the commit is left out as thinned and the exit code is 3.
    """
    out = sys.stdout.buffer
    with reading() as store:
        done = interchange.dump(store, lambda text: out.write(text.encode()))
        out.flush()
    if done.left_out:
        complain(f"{len(done.left_out)} commits were thinned meanwhile and left out")
    return PARTLY if done.left_out else OK


@verb(
    "restore",
    "rrdstore restore copy.rrdb < host.jsonl",
    "rrdstore restore -n larger.rrdb --size 256MiB < host.jsonl",
)
@click.argument("file")
@click.option("--size", help="Another size than the dumped store had.")
@dry_run_option
@json_option
def restore(file: str, size: str | None, dry_run: bool, as_json: bool) -> None:
    """Make a new store of a dump on standard input.

    It continues the dumped one: same ids, same times, same answers. The whole dump is read and proved first; a dry
    run ends there. JSON: {commits, branches, tags, pins}.
    """
    lines = _lines(sys.stdin.buffer)
    if dry_run:
        store = interchange.load(lines)
    else:
        with progress_bar() as progress:
            store = interchange.restore(file, lines, size, progress=progress)
    with store:
        info = store.info()
    counts = {"commits": info.kept, "branches": len(info.branches), "tags": info.tags, "pins": info.pins}
    if as_json:
        print_json(counts)
    else:
        said = ", ".join(f"{count} {what}" for what, count in counts.items())
        click.echo(f"{file}: {'would hold' if dry_run else 'holds'} {said}")


def _lines(stream: BinaryIO) -> Iterator[str]:
    """The lines of a stream as text; what is no UTF-8 fails the line's own check."""
    for line in stream:
        yield line.decode(errors="replace")
