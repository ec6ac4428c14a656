"""The short form of bench/bound.py: random operations on a file system exactly as large as the store."""

import pytest

from bench.bound import Run, exactly

SIZE = 4 << 20


@pytest.fixture
def folder():
    mounted = exactly(SIZE)
    try:
        found = mounted.__enter__()
    except OSError as error:
        pytest.skip(f"a file system of exactly the store's size needs root: {error}")
    yield found
    mounted.__exit__(None, None, None)


def test_not_one_byte_over(folder):
    run = Run(folder / "host.rrdb", SIZE, seed=7)
    run.create()
    run.run(4_000, kills=8, readers=2)
    assert run.model.done >= 4_000
    assert run.most <= SIZE
    assert run.counted["kill -9"] >= 8
    assert run.counted["foreign reader"] == 2
    assert run.counted["merge"] > run.counted["merge refused (c)"]
