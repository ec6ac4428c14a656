"""A plugin of pytest: sets of names are wide from three names on, not from 33.

The machine's directories have a few names, so with the sets of every day its walks never meet a set within a set that
becomes wide or narrow, where a merge once lost names in silence. What such a run shows is right or wrong whatever the
numbers are, but tests that state sizes or bytes are not for it.
"""

import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path

NODE = "rrdstore.tree.node"
NARROW = {"FANOUT = 32": "FANOUT = 2", "BITS = 5": "BITS = 1", "DEEPEST = 12": "DEEPEST = 60"}


class Narrowed(SourceFileLoader):
    """The module with other numbers."""

    def get_code(self, fullname):
        source = Path(self.path).read_text()
        for before, after in NARROW.items():
            assert source.count(f"\n{before}\n") == 1, f"{self.path}: expected one line {before!r}"
            source = source.replace(f"\n{before}\n", f"\n{after}\n")
        return compile(source, self.path, "exec", dont_inherit=True)


class Finder:
    """Finds that module, and no other."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name != NODE:
            return None
        file = Path(__file__).parents[1] / "rrdstore" / "tree" / "node.py"
        return spec_from_file_location(name, file, loader=Narrowed(name, str(file)))


assert NODE not in sys.modules, "the plugin comes too late: the module is imported"
sys.meta_path.insert(0, Finder)
