"""Who is served in a turn of the loop, and how often."""

from types import SimpleNamespace

import pytest

from xsadapter.rounds import go_round


class Loop:
    """Clients with so many requests each, served in turns; `order` is who was."""

    def __init__(self, **clients):
        """Of each by name: its domain, None for one that may do all, and its requests."""
        self.left = {name: requests for name, (_, requests) in clients.items()}
        self.order = []
        self.ready = {
            serial: SimpleNamespace(
                name=name, confined=domid is not None, connection=SimpleNamespace(serial=serial, domid=domid or 0)
            )
            for serial, (name, (domid, _)) in enumerate(clients.items())
        }

    def step(self, client):
        if not self.left[client.name]:
            return False
        self.left[client.name] -= 1
        self.order.append(client.name)
        return True

    def turn(self):
        self.order.clear()
        go_round(self.ready, self.step)
        return "".join(self.order)


def test_everyone_has_one_request_a_round_until_all_are_carried_out():
    loop = Loop(a=(None, 3), b=(None, 1), g=(5, 2))
    assert loop.turn() == "abgaga"
    assert not loop.ready


def test_guests_alone_have_one_round_a_turn():
    loop = Loop(g=(5, 2), h=(6, 9))
    assert loop.turn() == "gh"
    assert loop.turn() == "gh"
    assert loop.turn() == "h"
    assert loop.turn() == "h"
    assert len(loop.ready) == 1


def test_one_alone():
    assert Loop(a=(None, 99)).turn() == 64 * "a"
    guest = Loop(g=(5, 3))
    assert [guest.turn(), guest.turn(), guest.turn(), len(guest.ready), guest.turn()] == ["g", "g", "g", 1, ""]
    assert not guest.ready


def test_the_clients_of_one_domain_share_its_round():
    loop = Loop(g=(5, 2), h=(5, 2), k=(6, 2))
    assert [loop.turn() for _ in range(4)] == ["gk", "hk", "g", "h"]


@pytest.mark.parametrize("requests", [10, 1000])
def test_a_turn_ends_after_sixty_four_rounds(requests):
    loop = Loop(a=(None, requests), b=(None, requests))
    assert loop.turn() == "ab" * min(requests, 64)
