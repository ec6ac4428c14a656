"""The direction of imports: which room may know which.

Rule: tree < history < store; policy stands alone; storage serves store; interchange, which carries whole stores, sits
on top; the command line sees the facade, policy and interchange; the daemon sees the engine's public names. The rooms
that decide and do not act import nothing that acts. Imports for type checking count like all others: who needs a type
knows the room.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rrdstore

ROOT = Path(__file__).parents[2]

# A room of rrdstore: the rooms that it may import beside itself. "facade" is the package's own public names.
ALLOWED: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "native": frozenset(),
    "clock": frozenset(),
    "tree": frozenset({"errors", "native"}),
    "policy": frozenset({"errors"}),
    "history": frozenset({"errors", "native", "tree"}),
    "series": frozenset({"errors", "tree", "policy"}),
    "storage": frozenset({"errors", "tree", "history"}),
    "store": frozenset({"errors", "clock", "native", "tree", "policy", "history", "series", "storage"}),
    "interchange": frozenset({"errors", "clock", "tree", "policy", "history", "series", "storage", "store"}),
    "facade": frozenset({"errors", "clock", "tree", "policy", "history", "series", "storage", "store", "interchange"}),
    "testing": frozenset({"errors", "clock", "tree", "policy", "history", "series", "storage", "store", "facade"}),
    "cli": frozenset({"facade", "policy", "interchange"}),
}

# Rooms of the daemon that decide and do not act, and the rooms of the daemon that they must not know.
DECIDING = ("arguments", "commands", "engine", "errors", "operations", "paths", "stream", "wire")
ACTING = frozenset({"transport", "server", "cli", "client", "demo"})

OUTSIDE_WORLD = frozenset(
    {"asyncio", "logging", "mmap", "select", "selectors", "socket", "sqlite3", "subprocess", "threading", "time"},
)
PURE = (
    "rrdstore/tree",
    "rrdstore/policy",
    "rrdstore/series",
    "rrdstore/history",
    *(f"xsadapter/{room}" for room in DECIDING),
)


def sources(*under: str) -> list[Path]:
    """The Python files of a package, or of rooms of it: a folder or a file each."""
    found = []
    for name in under:
        found += sorted((ROOT / name).rglob("*.py")) or [ROOT / f"{name}.py"] * (ROOT / f"{name}.py").exists()
    return found


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of all that a file imports: `from a.b import c` is a.b.c."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join((*above, *(node.module or "").split("."))).strip(".")
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def room(dotted: str) -> str | None:
    """The room of rrdstore that a dotted name is in; None if it is outside of rrdstore."""
    package, *rest = dotted.split(".")
    if package != "rrdstore":
        return None
    return rest[0] if rest and rest[0] in ALLOWED else "facade"


def room_of(path: Path) -> str:
    """The room of rrdstore that a file belongs to."""
    first = path.relative_to(ROOT / "rrdstore").with_suffix("").parts[0]
    return "facade" if first == "__init__" else first


@pytest.mark.parametrize("path", sources("rrdstore"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_of_the_engine_imports_only_what_is_below_it(path):
    here = room_of(path)
    assert here in ALLOWED, f"{path} is in a room that this test does not know"
    for line, dotted in imports(path):
        assert not dotted.startswith("xsadapter"), f"{path}:{line}: the engine imports the daemon"
        there = room(dotted)
        assert there in {None, here} | ALLOWED[here], f"{path}:{line}: {here} imports {there} ({dotted})"


@pytest.mark.parametrize("path", sources(*PURE), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_decides_does_not_touch_the_outside_world(path):
    for line, dotted in imports(path):
        top = dotted.split(".")[0]
        if path.name == "clock.py" and top == "time":
            continue
        assert top not in OUTSIDE_WORLD, f"{path}:{line}: imports {top}"


@pytest.mark.parametrize("path", sources("xsadapter"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_daemon_uses_only_the_engines_public_names(path):
    public = {*rrdstore.__all__, "testing"}
    for line, dotted in imports(path):
        package, *rest = dotted.split(".")
        if package == "rrdstore" and rest:
            assert rest[0] in public, f"{path}:{line}: {dotted} is not a public name"
            assert rest[0] == "testing" or len(rest) == 1, f"{path}:{line}: {dotted} reaches below the public names"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rrdstore":
            assert node.attr in public, f"{path}:{node.lineno}: rrdstore.{node.attr} is not a public name"


@pytest.mark.parametrize(
    "path",
    sources(*(f"xsadapter/{name}" for name in DECIDING)),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_daemons_state_machine_does_not_know_its_shell(path):
    for line, dotted in imports(path):
        package, *rest = dotted.split(".")
        assert package != "xsadapter" or not rest or rest[0] not in ACTING, f"{path}:{line}: imports {dotted}"


def test_every_public_name_exists():
    missing = [name for name in rrdstore.__all__ if not hasattr(rrdstore, name)]
    assert not missing
    assert len(set(rrdstore.__all__)) == len(rrdstore.__all__)


def test_the_reader_of_imports_sees_every_spelling(tmp_path, monkeypatch):
    source = "import a.b\nfrom a import c\nfrom . import d\nfrom ..tree import node\ndef f():\n    from .e import g\n"
    (tmp_path / "rrdstore" / "store").mkdir(parents=True)
    path = tmp_path / "rrdstore" / "store" / "branch.py"
    path.write_text(source)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert [dotted for _, dotted in sorted(imports(path))] == [
        "a.b",
        "a.c",
        "rrdstore.store.d",
        "rrdstore.tree.node",
        "rrdstore.store.e.g",
    ]
    assert [room(name) for name in ("rrdstore", "rrdstore.open", "rrdstore.tree.node", "os.path")] == [
        "facade",
        "facade",
        "tree",
        None,
    ]


def test_the_daemon_starts_without_what_is_slow_to_load_or_large():
    others = {"numpy", "sqlite_utils", "_hashlib", "email", "importlib.metadata", "xsadapter.tools", "xsadapter.client"}
    program = f"import sys, xsadapter.cli.xenstored, xsadapter.cli.run; print(*{others} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
