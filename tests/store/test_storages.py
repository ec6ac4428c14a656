"""Which storages take part: a fixture that drops one silently would make this suite prove nothing of it."""

from pathlib import Path

import rrdstore
from rrdstore.storage.protocol import Storage
from rrdstore.testing.homes import HOMES


def test_every_storage_of_the_engine_takes_part():
    assert set(HOMES) == {"memory", "journalled", "file"}
    assert [name for name, home in HOMES.items() if not home.reopens] == ["memory"]


def test_a_home_makes_the_storage_it_is_named_for(home):
    with home.create("last:4") as store:
        kind = type(store.ledger.storage).__module__
        assert any(name in kind for name in ("memory", "journalled", "ring", "writer")), kind
        missing = [name for name in Storage.__annotations__ if not hasattr(store.ledger.storage, name)]
        assert not missing


def test_the_file_is_a_file_of_the_size_it_was_given(tmp_path):
    with rrdstore.create(tmp_path / "a.rrdb", "8MiB") as store:
        assert sum(file.stat().st_size for file in Path(tmp_path).iterdir()) <= 8 << 20
        assert store.info().size == 8 << 20
