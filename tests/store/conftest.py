from __future__ import annotations

import pytest

from rrdstore.testing.homes import HOMES


@pytest.fixture(params=sorted(HOMES))
def home(request):
    made = HOMES[request.param]()
    yield made
    made.end()


@pytest.fixture(params=sorted(name for name, made in HOMES.items() if made.reopens))
def lasting(request):
    """A home of a storage that outlives a closing."""
    made = HOMES[request.param]()
    yield made
    made.end()


@pytest.fixture
def store(home):
    with home.create("last:8 1s:1m") as made:
        yield made


@pytest.fixture
def main(store):
    return store.branch("main")
