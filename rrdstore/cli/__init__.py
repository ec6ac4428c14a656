"""The program `rrdstore`: everything that can be done to a store from a shell.

It sees the facade, the policies and the interchange, nothing below them. One file a group of verbs.
"""

from __future__ import annotations

import click

import rrdstore
from rrdstore.cli.branches import branch, fork, merge, patch
from rrdstore.cli.checking import check
from rrdstore.cli.exchange import dump, restore
from rrdstore.cli.foresight import forecast, replay
from rrdstore.cli.names import pin, tag, unpin, untag
from rrdstore.cli.program import Program
from rrdstore.cli.retention import explain, plan
from rrdstore.cli.series import export, fetch, graph
from rrdstore.cli.timeline import diff, log
from rrdstore.cli.tuning import compact, forget, tune
from rrdstore.cli.upkeep import create, info
from rrdstore.cli.values import get, ls, rm, set_, tree_

_HELP = """A store of constant size whose history thins progressively.

A store is one file with a tree of paths and values, and the history of that tree: the recent past in every
detail, the distant past in coarser and coarser steps, by a policy given at creation.

Moments (WHEN) are '2h ago', '-2h', '1d12h', 2026-01-31T12:00, @1700000000, a tag, or a commit's id or the
beginning of one. All times are UTC. With --json a command prints one JSON document, in which bytes are a
string if they are UTF-8 and else {"base64": ...}, times are ISO 8601, and a commit is {id, number, time, wall,
branch, author, message, parents, kept_parents, thinned, authors: {NAME: COUNT}, others}. Reading commands work
while another process writes.

\b
Exit codes:
   0  done
   1  an error: nothing was changed
   2  wrong usage: an option, a path, a moment or a policy that cannot be
   3  partly: of several things asked for some were done
  10  no store at that path
  11  locked: another process writes the store
  12  an optional part of this program is not installed

\b
Example:
  rrdstore create host.rrdb --size 16MiB
  export RRDSTORE=host.rrdb
  rrdstore set /motd hello
  rrdstore log
"""


@click.group(cls=Program, help=_HELP, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-C", "--store", metavar="FILE", envvar="RRDSTORE", help="The store; else $RRDSTORE.")
@click.option(
    "--config",
    metavar="FILE",
    envvar="RRDSTORE_CONFIG",
    help="TOML with size and policies; else $RRDSTORE_CONFIG. `create` and new branches follow it, others warn.",
)
@click.version_option(package_name="rrdstore", message=f"%(prog)s, version %(version)s, {rrdstore.BUILD}")
def main(store: str | None, config: str | None) -> None:
    """See _HELP; `store` and `config` are read by those commands that need them."""


main.section("Stores", create, info, check, dump, restore)
main.section("Values", get, set_, rm, ls, tree_)
main.section("History", log, diff, tag, untag, pin, unpin)
main.section("Series", fetch, graph, export)
main.section("Branches", branch, fork, merge, patch)
main.section("Retention", plan, explain, tune, forget, compact, forecast, replay)
