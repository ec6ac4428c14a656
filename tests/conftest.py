"""What all tests share: how hypothesis runs, and what can be replaced.

In CI the examples are the same each time, so that a red run is a change's own; elsewhere they are new each time.
No deadline: the machine may be busy, and no test of ours judges by time.
What is compiled (setup.py) cannot be replaced by monkeypatch, so a test that has to is skipped over a compiled build.
"""

import os
import sys
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


_replace = pytest.MonkeyPatch.setattr


def _replace_or_skip(own, target, *what, **how):
    if isinstance(target, str):
        module = target.rpartition(".")[0]
    else:
        module = getattr(target, "__module__", None) or getattr(target, "__name__", "")
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    compiled = module.startswith(("rrdstore.", "xsadapter.")) and file and not file.endswith(".py")
    if compiled and isinstance(target, (str, ModuleType, type)):
        pytest.skip(f"{module} is compiled: what it calls cannot be replaced")
    try:
        _replace(own, target, *what, **how)
    except (AttributeError, TypeError):
        if compiled:
            pytest.skip(f"{module} is compiled: its classes cannot be changed")
        raise


pytest.MonkeyPatch.setattr = _replace_or_skip
