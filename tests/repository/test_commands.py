"""Every command of every program has help, an example and its place in docs/cli.md."""

import importlib.metadata
import itertools
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate_cli.py"))
CONTEXTS = [
    context for name, command in GENERATOR["PROGRAMS"].items() for context in GENERATOR["contexts"](command, name)
]

every_command = pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.command_path)


@every_command
def test_a_command_says_what_it_does(context):
    assert context.command.help, "no help text"
    assert context.command.get_short_help_str(), "no line in the list of commands"


@every_command
def test_a_command_shows_an_example_of_itself(context):
    help_text = context.command.help or ""
    assert "Example" in help_text
    assert context.find_root().info_name in help_text.split("Example", 1)[1]


@every_command
def test_an_option_says_what_it_does(context):
    silent = [
        parameter.opts
        for parameter in context.command.params
        if parameter.param_type_name == "option" and not parameter.hidden and not parameter.help
    ]
    assert not silent


@every_command
def test_a_command_is_documented(context):
    assert f"# {context.command_path}\n" in (ROOT / "docs" / "cli.md").read_text()


def test_the_documentation_is_what_the_commands_say():
    # Without regard to where lines are broken: another version of click may break them elsewhere.
    written, said = (ROOT / "docs" / "cli.md").read_text().split(), GENERATOR["page"]().split()
    for place, (old, new) in enumerate(itertools.zip_longest(written, said)):
        if old != new:
            before = " ".join(said[max(place - 8, 0) : place])
            pytest.fail(f"make docs: after {before!r} docs/cli.md has {old!r}, the help {new!r}")


def test_every_program_is_covered():
    programs = importlib.metadata.distribution("rrdstore").entry_points.select(group="console_scripts")
    # xsadapter-xenstore has the stock tools' own command lines, whose usage is compared with theirs (tests/compat).
    assert {program.name for program in programs} == {*GENERATOR["PROGRAMS"], "xsadapter-xenstore"}
