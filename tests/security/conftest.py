"""A machine with two guests, whatever they try; and afterwards everybody else is served and all accounts are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compat.peers import short_directory
from tests.daemon.conversation import Peer
from tests.daemon.test_accounts import check
from tests.security.world import HubGuest, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def machine() -> Iterator[Machine]:
    with short_directory() as directory:
        made = Machine(directory)
        yield made
        assert not [notice for notice in made.daemon.notices if notice.fault], "a bug was answered with EIO"
        made.turn()
        check(made.daemon)
        assert Peer(made.daemon).ask("WRITE", b"/served\0yes") == b"OK\0"
        made.close()


@pytest.fixture
def guest(machine: Machine) -> HubGuest:
    """Domain 5: the attacker."""
    return machine.guest(5)


@pytest.fixture
def victim(machine: Machine) -> HubGuest:
    """Domain 6."""
    return machine.guest(6)
