"""The compiled build: what its table says is so, and mypyc takes it. What runs is looked at in tests/testing."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = runpy.run_path(str(ROOT / "setup.py"))
COMPILED = BUILD["COMPILED"]


def test_each_compiled_module_is_there_and_has_its_reason():
    assert all(reason and (ROOT / path).is_file() for path, reason in COMPILED.items())
    assert (ROOT / BUILD["HEADER"]).is_file()
    assert BUILD["compiler"](), "the mypy that the code is checked with"


def test_pure_python_is_what_is_built_unless_asked(monkeypatch):
    monkeypatch.delenv("RRDSTORE_COMPILED", raising=False)
    assert BUILD["compiled"]() == {}


@pytest.mark.parametrize("path", COMPILED)
def test_a_compiled_module_has_nothing_that_fails_when_it_is_imported(path):
    """mypyc evaluates the fields of named tuples and dataclasses where they stand, so their types must be imported."""
    tree = ast.parse((ROOT / path).read_text())
    unknown = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for line in node.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    for node in tree.body:
        fields = isinstance(node, ast.ClassDef) and (
            "NamedTuple" in map(ast.unparse, node.bases)
            or any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
        )
        if fields:
            used = {
                name.id
                for field in node.body
                if isinstance(field, ast.AnnAssign)
                for name in ast.walk(field.annotation)
                if isinstance(name, ast.Name)
            }
            assert not used & unknown, f"{path}:{node.lineno}: {node.name}"


def test_mypyc_takes_all_of_it(tmp_path):
    build = "import runpy, sys; runpy.run_path('setup.py')['extensions'](sys.argv[1])"
    command = [sys.executable, "-c", build, str(tmp_path)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert list(tmp_path.glob("*.c"))


def test_no_class_that_is_interpreted_is_one_of_a_compiled_one():
    """Python refuses that when the module is imported, in the compiled build alone; protocols are no classes there."""
    sources = {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text())
        for package in ("rrdstore", "xsadapter")
        for path in (ROOT / package).rglob("*.py")
    }
    kinds = [
        (path, node) for path, tree in sources.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    compiled = {
        (path.partition("/")[0], node.name)
        for path, node in kinds
        if path in COMPILED and "Protocol" not in map(ast.unparse, node.bases)
    }
    found = [
        f"{path}: {node.name}"
        for path, node in kinds
        for base in map(ast.unparse, node.bases)
        # The engine knows no class of the daemon's, whatever it is called.
        if path not in COMPILED and compiled & {(path.partition("/")[0], base), ("rrdstore", base)}
    ]
    assert ("xsadapter", "Connection") in compiled
    assert not found
