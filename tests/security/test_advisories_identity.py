"""Advisories about who may do and know what, and about domids that come again: each is driven through a ring."""

import pytest

from tests.security.world import OK

RELEASED = b"@releaseDomain"


def test_xsa_115_a_watch_on_the_root_tells_only_what_may_be_read(machine, guest, victim):
    assert guest.ask("WATCH", b"/\0t\0") == OK
    assert guest.ask("WATCH", b"/local/domain/6/key\0u\0") == OK
    assert guest.events() == [(b"/", b"t"), (b"/local/domain/6/key", b"u")]
    assert victim.ask("WRITE", b"key\0secret") == OK
    assert victim.ask("RM", b"key\0") == OK
    machine.node(b"/hidden/deep", b"n0\0")
    machine.toolstack.ask("RM", b"/hidden\0")
    number = victim.start()
    assert victim.ask("WRITE", b"in/a/transaction\0", number) == OK
    assert victim.ask("TRANSACTION_END", b"T\0", number) == OK
    assert guest.events() == []
    assert victim.ask("WRITE", b"shown\0") == OK
    assert victim.ask("SET_PERMS", b"shown\0n6\0r5\0") == OK
    assert guest.events() == [(b"/local/domain/6/shown", b"t")]


def test_xsa_115_domains_that_come_are_told_to_who_may_know(machine, guest):
    assert guest.ask("IS_DOMAIN_INTRODUCED", b"6\0") == "EACCES"
    for name in (b"@introduceDomain", b"@introduceDomain/6"):
        assert guest.ask("WATCH", name + b"\0t\0") == OK
    assert guest.ask("WATCH", b"@introduceDomain\0d\x001\0") == OK
    guest.events()
    machine.guest(6)
    assert guest.events() == []
    assert guest.ask("GET_PERMS", b"@introduceDomain\0") == "EACCES"
    machine.toolstack.ask("SET_PERMS", b"@introduceDomain\0n0\0r5\0")
    machine.guest(7)
    assert guest.events() == [(b"@introduceDomain", b"t"), (b"@introduceDomain/7", b"d")]


def test_xsa_115_a_transaction_of_a_watch_is_ignored(machine, guest):
    assert guest.ask("WATCH", b"x\0t\0", 77) == OK
    assert guest.ask("UNWATCH", b"x\0t\0", 78) == OK
    assert guest.ask("READ", b"x\0", 77) == "ENOENT"


def test_xsa_322_the_next_domain_with_the_number_inherits_nothing(machine, guest, victim):
    machine.node(b"/shared", b"n0\0b5\0")
    machine.node(b"/shared/read", b"n6\0r5\0", b"secret")
    machine.node(b"/elsewhere", b"n5\0")
    assert guest.ask("WRITE", b"/shared/mine\0v") == OK
    assert victim.ask("SET_PERMS", b"/local/domain/6\0n6\0b5\0") == OK
    machine.toolstack.ask("SET_PERMS", b"@introduceDomain\0n0\0r5\0")
    machine.die(5)
    machine.reuse(5, 77)
    next_one = machine.guest(5)
    assert next_one.ask("READ", b"/shared/read\0") == "EACCES"
    assert next_one.ask("READ", b"/local/domain/6\0") == "EACCES"
    assert next_one.ask("WRITE", b"/shared/again\0") == "EACCES"
    assert next_one.ask("GET_PERMS", b"@introduceDomain\0") == "EACCES"
    for gone in (b"/elsewhere\0", b"/shared/mine\0"):
        assert machine.toolstack.ask("READ", gone) == "ENOENT"
    assert next_one.domain.unique == 77


@pytest.mark.parametrize("order", ["named first", "introduced first"])
def test_xsa_322_also_if_nobody_said_that_the_old_one_died(machine, guest, order):
    """The hypervisor's news may come late: whoever names the number first finds out."""
    machine.node(b"/read", b"n0\0r5\0", b"secret")
    machine.reuse(5, 77)
    if order == "named first":
        machine.node(b"/fresh", b"n5\0", b"for the new one")
    else:
        assert machine.toolstack.ask("INTRODUCE", b"5\x001\x007\0") == OK
    next_one = machine.guest(5)
    assert next_one.ask("READ", b"/read\0") == "EACCES"
    if order == "named first":
        machine.kick(1)
        assert next_one.ask("READ", b"/fresh\0") == b"for the new one"


def test_xsa_417_an_entry_for_a_domain_that_does_not_exist_never_counts(machine, guest, victim):
    """Set before the domain came to be, or for one that is dead by then."""
    (machine.directory / "dead.9").touch()
    assert victim.ask("SET_PERMS", b"/local/domain/6\0n6\0b9\0") == OK
    machine.node(b"/toolstack", b"n0\0r9\0", b"secret")
    machine.reuse(9, 900)
    ninth = machine.guest(9)
    assert victim.ask("GET_PERMS", b"/local/domain/6\0") == b"n6\0b9\0"
    for path in (b"/local/domain/6\0", b"/toolstack\0"):
        assert ninth.ask("READ", path) == "EACCES"
    assert ninth.ask("WRITE", b"/local/domain/6/below\0") == "EACCES"
    # It is text alone: nothing is kept for a number that nobody has, and it is not mistaken for one that counts later.
    (machine.directory / "dead.10").touch()
    assert victim.ask("SET_PERMS", b"/local/domain/6\0n6\0b10\0") == OK
    assert machine.daemon.domains.get(10) is None
    machine.toolstack.ask("SET_PERMS", b"/toolstack\0n0\0r9\0")
    assert ninth.ask("READ", b"/toolstack\0") == b"secret"
    machine.die(9)
    assert machine.toolstack.ask("GET_PERMS", b"/toolstack\0") == b"n0\0"


def test_xsa_419_nodes_outside_of_the_home_go_with_their_owner_and_all_below(machine, guest, victim):
    machine.node(b"/drop", b"b0\0")
    assert guest.ask("WRITE", b"/drop/a/b/c\0") == OK
    assert guest.ask("SET_PERMS", b"/drop/a/b\0b5\0") == OK
    assert victim.ask("WRITE", b"/drop/a/b/theirs\0") == OK
    assert victim.ask("WRITE", b"/drop/theirs\0") == OK
    machine.toolstack.ask("WATCH", b"/drop\0t\0")
    machine.toolstack.take()
    machine.die(5)
    assert machine.told() == [b"/drop/a"]
    assert machine.toolstack.ask("DIRECTORY", b"/drop\0") == b"theirs\0"
    assert machine.domain(6).usage.nodes == 2
    assert machine.daemon.domains.get(5) is None


def test_xsa_483_the_next_domain_starts_from_zero(machine, guest):
    machine.toolstack.ask("SET_QUOTA", b"5\0nodes\x003\0")
    for number in range(4):
        guest.ask("WRITE", b"n%d\0" % number)
    assert guest.ask("WATCH", b"a\0t\0") == OK
    guest.start()
    machine.die(5)
    machine.reuse(5, 77)
    next_one = machine.guest(5)
    usage, limits = next_one.domain.usage, next_one.domain.limits
    assert (usage.nodes, usage.watches, usage.transactions, usage.outstanding) == (1, 0, 0, 0)
    assert limits["nodes"] == 1000
    assert next_one.domain.refusals == {}
    for number in range(9):
        assert next_one.ask("WRITE", b"n%d\0" % number) == OK


def test_xsa_233_a_domain_and_its_target_die_together(machine, guest, victim):
    for domain, target in ((5, 6), (6, 5)):
        assert machine.toolstack.ask("SET_TARGET", b"%d\0%d\0" % (domain, target)) == OK
    machine.die(5, 6)
    assert machine.daemon.domains.get(5) is machine.daemon.domains.get(6) is None


@pytest.mark.parametrize("first", [5, 6])
def test_xsa_233_whoever_dies_first_ends_the_link(machine, guest, victim, first):
    """Neither the next domain with the target's number nor the one with the servant's is bound by the old link."""
    third = machine.guest(7)
    assert machine.toolstack.ask("SET_TARGET", b"5\x006\0") == OK
    assert victim.ask("WRITE", b"x\0v") == OK
    assert guest.ask("READ", b"/local/domain/6/x\0") == b"v"
    machine.die(first)
    machine.reuse(first, 77)
    again = machine.guest(first)
    one, two = (again, victim) if first == 5 else (guest, again)
    assert two.ask("WRITE", b"x\0v") == OK
    assert one.ask("READ", b"/local/domain/6/x\0") == "EACCES"
    assert machine.toolstack.ask("SET_TARGET", b"5\x007\0") == OK
    machine.die(6)
    assert third.ask("WRITE", b"x\0v") == OK
    assert one.ask("READ", b"/local/domain/7/x\0") == b"v"


def test_xsa_233_rights_that_ended_with_the_link_are_gone_at_the_end_of_a_transaction(machine, guest, victim):
    machine.guest(7)
    assert machine.toolstack.ask("SET_TARGET", b"5\x006\0") == OK
    number = guest.start()
    assert guest.ask("WRITE", b"/local/domain/6/x\0v", number) == OK
    assert machine.toolstack.ask("SET_TARGET", b"5\x007\0") == OK
    assert guest.ask("TRANSACTION_END", b"T\0", number) == "EAGAIN"
    assert victim.ask("READ", b"x\0") == "ENOENT"


@pytest.mark.parametrize("inside", [False, True], ids=["live", "transaction"])
def test_xsa_352_a_guest_gives_no_node_away(machine, guest, victim, inside):
    number = guest.start() if inside else 0
    assert guest.ask("WRITE", b"x\0v", number) == OK
    for owner in (b"n6\0", b"n0\0", b"b6\0r5\0"):
        assert guest.ask("SET_PERMS", b"x\0" + owner, number) == "EPERM"
    assert guest.ask("SET_PERMS", b"x\0n5\0b6\0", number) == OK
    if inside:
        assert guest.ask("TRANSACTION_END", b"T\0", number) == OK
    # Another's right to write is none to own; and what another makes below is the other's.
    assert victim.ask("SET_PERMS", b"/local/domain/5/x\0n6\0") == "EACCES"
    assert victim.ask("WRITE", b"/local/domain/5/x/y\0") == OK
    assert guest.ask("GET_PERMS", b"x\0") == b"n5\0b6\0"
    assert machine.toolstack.ask("GET_PERMS", b"/local/domain/5/x/y\0") == b"n6\0b6\0"
    assert (guest.domain.usage.nodes, victim.domain.usage.nodes) == (2, 2)


@pytest.mark.parametrize("inside", [False, True], ids=["live", "transaction"])
def test_xsa_353_the_root_is_judged_like_any_node(machine, guest, inside):
    number = guest.start() if inside else 0
    for operation, payload, expected in (
        ("SET_PERMS", b"/\0n5\0", "EACCES"),
        ("SET_PERMS", b"/\0n0\0", "EACCES"),
        ("RM", b"/\0", "EINVAL"),
        ("WRITE", b"/\0v", "EACCES"),
        ("MKDIR", b"/\0", "EACCES"),
        ("MKDIR", b"/x\0", "EACCES"),
        ("DIRECTORY", b"/\0", "EACCES"),
        ("READ", b"/\0", "EACCES"),
        ("GET_PERMS", b"/\0", "EACCES"),
        ("DIRECTORY_PART", b"/\x000\0", "EACCES"),
    ):
        assert guest.ask(operation, payload, number) == expected, operation
    assert machine.toolstack.ask("GET_PERMS", b"/\0") == b"n0\0"
    machine.toolstack.ask("SET_PERMS", b"/\0b0\0")
    assert guest.ask("SET_PERMS", b"/\0b0\0b5\0") == "EACCES"
    machine.toolstack.ask("SET_PERMS", b"/\0n5\0")
    assert guest.ask("MKDIR", b"/x\0") == OK
    machine.die(5)
    assert machine.toolstack.ask("GET_PERMS", b"/\0") == b"n0\0"
    assert machine.toolstack.ask("READ", b"/tool\0") == b""


def test_xsa_492_a_hypervisor_that_does_not_answer_for_a_domain_is_no_domain(machine, guest):
    (machine.directory / "dead.8").touch()
    assert machine.toolstack.ask("INTRODUCE", b"8\x001\x007\0") == "EINVAL"
    assert machine.toolstack.ask("SET_FEATURE", b"8\x001\0") == "ENOENT"
    assert machine.toolstack.ask("SET_PERMS", b"/local/domain/5\0n8\0") == "ENOENT"
    assert machine.daemon.domains.get(8) is None


def test_a_guest_is_not_told_of_its_own_end(machine, guest, victim):
    for each in (guest, victim):
        assert each.ask("WATCH", RELEASED + b"\0t\0") == OK
        assert each.ask("WATCH", b"/local/domain/5\0u\0") == OK
        each.events()
    assert victim.ask("GET_PERMS", RELEASED + b"\0") == b"n0\0r32757\0"
    assert machine.toolstack.ask("RELEASE", b"5\0") == OK
    assert guest.words[515] == guest.words[514]
    assert victim.events() == [(RELEASED, b"t")]
