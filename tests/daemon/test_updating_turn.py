"""A live update begins between two turns of the loop: with nothing that somebody is still to be sent, or let go of."""

from types import SimpleNamespace

import pytest

from tests.compat.peers import short_directory
from tests.daemon.conversation import NUMBERS
from tests.daemon.test_waking import House
from xsadapter.cli.updating import Updating
from xsadapter.engine.update import Stage
from xsadapter.wire import pack


@pytest.fixture
def house():
    with short_directory() as directory:
        made = House(directory)
        yield made
        made.close()


@pytest.mark.parametrize("ours", [True, False])
def test_not_in_the_turn_in_which_a_tick_buries_a_domain(house, monkeypatch, ours):
    house.asked(pack(NUMBERS["WATCH"], 1, 0, b"@releaseDomain\0gone\0"))
    daemon, flow, became = house.daemon, house.daemon.flow, []
    daemon.connect("confined", 6, privileged=False)
    updating = Updating(daemon, SimpleNamespace(), [], house.xen if ours else None)

    def become(server):
        left = [connection for connection in flow.ended if connection.serial not in daemon.connections]
        became.append((left, [*flow.waiting], flow.touched.any))
        daemon.update.stage = Stage.NONE

    monkeypatch.setattr(updating, "_become", become)
    house.errands.add(updating)
    daemon.update.stage, daemon.update.ours = Stage.STARTED, ours
    (house.directory / "dead.6").touch()
    daemon.unburied, house.server._ticking._done, house.server._ticking.at = True, False, 0.0
    house.server._timers._asked = -1.0
    house.turns(1)
    assert daemon.domains.get(6) is None, "the tick has buried it"
    assert not became
    house.turns(1)
    updating.turn(house.server)
    assert became == [([], [], False)]
    assert b"@releaseDomain\0gone" in house.theirs.recv(4096)


def test_not_while_the_store_is_mended_and_whoever_asked_is_told(house, monkeypatch):
    """The process that mends it is this one's, and would end with it, or write beside the next."""
    daemon, became = house.daemon, []
    updating = Updating(daemon, SimpleNamespace(), [], house.xen)
    monkeypatch.setattr(updating, "_become", became.append)
    owner = daemon.update.owner = next(iter(daemon.connections.values()))
    daemon.update.stage, daemon.update.ours = Stage.STARTED, True
    daemon.troubles.mending = True
    updating.turn(house.server)
    assert not became
    assert daemon.update.stage is Stage.FAILED
    assert "ask again when that is done" in daemon.update.reason
    assert daemon.flow.resumed == [owner]
    daemon.troubles.mending = False
    daemon.update.stage = Stage.STARTED
    updating.turn(house.server)
    assert became == [house.server]
