"""What README.md and docs/*.md show is run, file by file and in the order of the page.

- Each file has an empty directory of its own. A `python` block is executed in it; the blocks of a file share their
  names. A block that begins with `>>>` is a doctest: its results are compared.
- A `console` block has commands after `$ ` (continued after `> `). They are run by one bash per block, in the same
  directory, with this environment's programs first on the PATH; what a block exports the next one has. A command must
  end with status 0 (show `; echo $?` where it should not). If output is shown below it, that must be what it prints:
  `...` alone on a line stands for any lines, inside of a line for any characters.
- If a file's examples speak to a daemon, ours is running: its rundir is `run` in that directory, XENSTORED_PATH is set.
- Not run are the programs in ELSEWHERE, each with who runs them instead. Blocks in any other language are not examples.
- Relative links must lead to a file that is there.
"""

from __future__ import annotations

import contextlib
import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat import peers
from tests.repository.documents import Block, Command, blocks, commands, matches

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

ELSEWHERE = {
    "make": "CI runs `make test`; the others install, or run until they are stopped",
    "git clone": "a clone of the project is what runs this",
    "cd rrdstore": "the clone",
    "sudo": "tests/compat/install.sh installs what CI needs",
    "apt-get": "tests/compat/install.sh installs what CI needs",
    "pip": "the environment is make's",
    ".venv/bin/pip": "the environment is make's",
    "systemctl": "there may be no systemd where this runs",
    "xsadapter run": "runs until it is stopped; tests/compat runs it",
    "xsadapter watch": "runs until it is stopped; tests/cli runs it",
    "xsadapter-xenstored": "runs until it is stopped; tests/compat runs it",
    "xenstore-watch": "runs until it is stopped; tests/compat runs it",
}
STATUS = "\x1e"  # what separates the outputs of commands; no program of ours prints it
PATIENCE = 600  # seconds for one block, of which each takes a few


def elsewhere(command: Command) -> bool:
    """Whether some program of the command is not run here."""
    return any(words in ELSEWHERE or words.split()[0] in ELSEWHERE for words in command.programs)


def speaks_to_a_daemon(page: list[Block]) -> bool:
    """Whether an example that is run here is a client of the daemon."""
    for block in page:
        if block.language == "python" and "xsadapter" in block.text:
            return True
        if block.language == "console":
            programs = [name for each in commands(block) if not elsewhere(each) for name in each.programs]
            if any(name.startswith(("xsadapter ", "xenstore-")) and "--help" not in name for name in programs):
                return True
    return False


def run_python(block: Block, page: Path, names: dict[str, object]) -> None:
    where = f"{page.relative_to(ROOT)}:{block.line}"
    if block.text.lstrip().startswith(">>>"):
        test = doctest.DocTestParser().get_doctest(block.text, names, where, str(page), block.line - 1)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
        printed: list[str] = []
        runner.run(test, out=printed.append, clear_globs=False)
        names.update(test.globs)
        assert not runner.failures, "".join(printed)
    else:
        # Empty lines before it, so that a traceback names the line of the page.
        exec(compile("\n" * (block.line - 1) + block.text, where, "exec", dont_inherit=True), names)


def run_console(block: Block, page: Path, directory: Path, environment: dict[str, str]) -> dict[str, str]:
    """Run a block and compare; the environment that it leaves."""
    wanted = [command for command in commands(block) if not elsewhere(command)]
    for program in {name.split()[0] for command in wanted for name in command.programs}:
        if program.startswith("xenstore-"):
            peers.need(program)
    left = directory / ".environment"
    script = "".join(f"{command.text}\nprintf '{STATUS}%d{STATUS}' $?\n" for command in wanted)
    done = subprocess.run(
        ["bash", "-c", f"{script}\nenv -0 > {left}"],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    *printed, _ = done.stdout.split(STATUS)
    assert len(printed) == 2 * len(wanted), f"{page}:{block.line}: bash did not come to the end:\n{done.stdout}"
    for command, output, status in zip(wanted, printed[::2], printed[1::2], strict=True):
        where = f"{page.relative_to(ROOT)}:{command.line}: $ {command.text}"
        assert status == "0", f"{where}\nended with {status}:\n{output}"
        if command.shown:
            assert matches(command.shown, output), f"{where}\nprints\n{output}and the page shows\n" + "\n".join(
                command.shown,
            )
    return dict(pair.split("=", 1) for pair in left.read_text().split("\0") if "=" in pair)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of(page, monkeypatch):
    found = [block for block in blocks(page.read_text()) if block.language in {"python", "console"}]
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(peers.short_directory())
        monkeypatch.chdir(directory)
        for name in ("RRDSTORE", "XENSTORED_PATH", "XENSTORED_RUNDIR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(directory))
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setenv("TERM", "dumb")
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if speaks_to_a_daemon(found):
            (directory / "run").mkdir()
            daemon = stack.enter_context(peers.our_xenstored(directory / "run"))
            monkeypatch.setenv("XENSTORED_PATH", str(daemon.socket))
        environment, names = dict(os.environ), {"__name__": "__main__"}
        for block in found:
            if block.language == "python":
                run_python(block, page, names)
            else:
                environment = run_console(block, page, directory, environment)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    dead = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not dead


def test_every_page_can_be_found_from_the_readme():
    seen, coming = set(), [ROOT / "README.md"]
    while coming:
        page = coming.pop()
        if page not in seen and page.suffix == ".md" and page.exists():
            seen.add(page)
            links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
            coming += [(page.parent / link).resolve() for link in links if "://" not in link]
    assert not {str(page.relative_to(ROOT)) for page in PAGES} - {str(page.relative_to(ROOT)) for page in seen}


def test_blocks_and_commands_are_read_as_written():
    text = "a\n```console\n$ one \\\n> two\n1\n...\n\n$ A=b three | four five\n```\n  ```python\n  x = 1\n  ```\n"
    console, python = blocks(text)
    assert (python.language, python.line, python.text) == ("python", 11, "x = 1\n")
    first, second = commands(console)
    assert (first.line, first.text, first.shown) == (3, "one \\\ntwo", ("1", "..."))
    assert (second.line, second.shown, second.programs) == (8, (), ("three", "four five"))


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        (("a",), "a\n", True),
        (("a",), "b\n", False),
        (("a",), "a\nb\n", False),
        (("a", "..."), "a\nb\nc\n", True),
        (("...", "c"), "a\nb\n", False),
        (("a ... b", "c"), "a 12 b  \nc\n\n", True),
        (("a...b",), "a\nb\n", False),
        (("...",), "", True),
    ],
)
def test_an_output_is_compared_with_what_is_shown(shown, output, same):
    assert matches(shown, output) is same
