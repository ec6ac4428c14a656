"""What the compiler is told of classes that it makes native (setup.py has the table of what it compiles).

Rule: the sources are plain Python, and mean the same interpreted; this is a decorator that does nothing but for mypyc.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_):
        """Facts of a class.

        `acyclic`: no cycle of references ever leads through it, so the collector may pass it by.
        `allow_interpreted_subclasses`: tests have one of their own.
        """
        return lambda kind: kind
