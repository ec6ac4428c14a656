"""What was to be compiled is what runs, and is said to; pure Python is all Python."""

import os
import runpy
import sys
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import rrdstore

COMPILED = runpy.run_path(str(Path(__file__).parents[2] / "setup.py"))["COMPILED"]
MODULES = [path.removesuffix(".py").replace("/", ".") for path in COMPILED]


def test_all_or_none_of_what_is_compiled_is():
    native = [name for name in MODULES if import_module(name).__file__.endswith(tuple(EXTENSION_SUFFIXES))]
    assert native == (MODULES if rrdstore.BUILD == "compiled" else [])
    assert native or os.environ.get("RRDSTORE_COMPILED", "0") == "0", "what was asked for is not what runs"
    assert {name for name in MODULES if name in sys.modules} == set(MODULES)
