"""A guest that notifies without end and for nothing: its port rests, and whoever else notifies does not."""

from types import SimpleNamespace

from tests.compat import peers
from tests.compat.guest import Guest
from tests.compat.test_differential import Wire
from xsadapter.bells import FORGIVEN, PATIENCE, REST, Bells

HOSTILE, HONEST = 1005, 1006


class Xen:
    """A hypervisor whose hostile guest's port fires whenever it is not masked."""

    def __init__(self):
        self.clients = {port: SimpleNamespace(port=port) for port in (HOSTILE, HONEST)}
        self.masked = set()
        self.unmasked = []
        self.due = []

    def fired(self):
        found = [port for port in (HOSTILE, *self.due) if port not in self.masked]
        self.due.clear()
        self.masked.update(found)
        return found

    def unmask(self, port):
        self.masked.discard(port)
        self.unmasked.append(port)
        return False


def turn(bells, xen, now, came=()):
    """Which rings are looked at."""
    looked = []
    for rung in (bells.rested(xen, now), bells.fired(xen, now)):
        for port, client, _ in rung:
            assert client.port == port
            looked.append(port)
            bells.answered(port, now, came=port in came)
    return looked


def test_a_port_that_fires_in_vain_rests_and_no_other_does():
    bells, xen, looks, honest = Bells(), Xen(), 0, 0
    for step in range(10_000):
        if step % 100 == 0:
            xen.due = [HONEST]
        looked = turn(bells, xen, step / 10_000, came=[HONEST])
        looks += looked.count(HOSTILE)
        honest += looked.count(HONEST)
    assert honest == 100
    assert PATIENCE < looks <= PATIENCE + 8 + 2 * 1000 / (REST << 3), "some hundred looks in a second, not ten thousand"


def test_who_notifies_twice_for_each_request_never_rests():
    bells, xen = Bells(), Xen()
    for step in range(1000):
        assert turn(bells, xen, step / 10_000, came=[HOSTILE] if step % 2 else []) == [HOSTILE]
        assert bells.wake is None


def test_each_request_forgives_two_that_were_in_vain():
    bells, xen = Bells(), Xen()
    for step in range(PATIENCE - 2):
        turn(bells, xen, step / 10_000)
    for step in range(PATIENCE, 1000):
        assert turn(bells, xen, step / 10_000, came=[] if step % 2 else [HOSTILE]) == [HOSTILE]
    assert bells.wake is None


def test_all_is_forgiven_after_a_quiet_while():
    bells, xen = Bells(), Xen()
    for step in range(PATIENCE + 1):
        turn(bells, xen, step / 10_000)
    assert bells.wake is not None
    quiet = bells.wake
    turn(bells, xen, quiet + FORGIVEN)
    assert bells.wake is None


def test_while_it_rests_it_stays_masked_and_then_its_ring_is_looked_at():
    bells, xen = Bells(), Xen()
    for step in range(PATIENCE):
        turn(bells, xen, step / 10_000)
    assert turn(bells, xen, 0.01) == [HOSTILE], "it is looked at once more"
    assert HOSTILE in xen.masked
    until = bells.wake
    assert turn(bells, xen, until - 0.0001) == []
    assert turn(bells, xen, until, came=[HOSTILE])[0] == HOSTILE


def test_a_guest_that_did_so_is_served_all_the_same():
    with (
        peers.short_directory() as directory,
        peers.our_xenstored(directory, "--memory", "--simulated-xen", str(directory)) as daemon,
    ):
        toolstack = Wire(daemon)
        guest = Guest(directory, 5)
        assert toolstack.ask("INTRODUCE", b"5\x001\x001\0")[0] == b"OK\0"
        for _ in range(20):
            for _ in range(2 * PATIENCE):
                guest.kick()
            assert guest.ask("GET_DOMAIN_PATH", b"5\0") == b"/local/domain/5\0"
        guest.close()
        toolstack.close()
