"""Branches, tags and pins: the part of the machine that changes what is kept and how it hangs together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

import rrdstore
from rrdstore.testing import calls, retention
from rrdstore.testing.calls import KEEPS, refusal
from rrdstore.testing.merging import Merging
from rrdstore.testing.model import BRANCH_KEEP

if TYPE_CHECKING:
    from collections.abc import Callable


class Branching(Merging):
    """Forks, deletions, policies; tags and pins."""

    @rule(origin=calls.branch, name=calls.named, keep=st.none() | st.sampled_from(KEEPS), lease=calls.leases)
    def fork(self, origin: int, name: str, keep: str | None, lease: int | None) -> None:
        """A branch from the head of another, sometimes with a lease of some seconds."""
        source = self.store.branch(self.living(origin))
        if not self.refused(name, keep or BRANCH_KEEP, lambda: source.fork(name, keep, lease)):
            source.fork(name, keep, lease)
            self.flush()
            length = (lease or 0) * 1_000_000
            until = self.store.ledger.history.names[name].until
            self.model.fork(source.name, name, keep, length, seen=until - length if length else None)

    @rule(name=calls.named, keep=st.sampled_from(KEEPS))
    def create_branch(self, name: str, keep: str) -> None:
        """A branch of nothing, or the one that there is."""
        if name in self.model.names:
            assert self.store.branch(name, create=True).name == name
        elif not self.refused(name, keep, lambda: self.store.branch(name, create=True, keep=keep)):
            made = self.unless_full(lambda: self.store.branch(name, create=True, keep=keep))
            self.flush()
            if made:
                head = made.head
                self.follow(lambda: self.model.create(name, keep, seen=calls.microseconds(head.time)))
                self.compare(name, head)

    def refused(self, name: str, keep: str, make: Callable[[], object]) -> bool:
        """Whether a new branch must be refused; and then, that it is."""
        if name in self.model.names:
            refusal((rrdstore.Exists, rrdstore.LimitReached), make)
            self.flush()
            return True
        limit, kept = self.store.ledger.storage.max_branches, self.kept()
        lines = [line for line in self.model.lines.values() if line.id]
        used = sum(line.alive or not kept.isdisjoint(line.own) for line in lines)
        slots = self.store.ledger.storage.max_slots
        if (limit and used >= limit) or (slots and self.model.slots() + retention.most(keep) > slots):
            refusal(rrdstore.LimitReached, make)
            self.flush()
            return True
        return False

    @rule(where=calls.branch)
    def delete_branch(self, where: int) -> None:
        """Delete a branch; main cannot be."""
        name = self.living(where)
        if name == "main":
            refusal(rrdstore.ReadOnly, lambda: self.store.delete_branch(name))
        else:
            self.store.delete_branch(name)
            self.model.delete(name)
        self.flush()

    @rule(where=calls.branch, keep=st.sampled_from(KEEPS))
    def tune(self, where: int, keep: str) -> None:
        """Another policy for a branch, tried dry first: what is lost is what the plan says, and goes at once."""
        name = self.living(where)
        if self.model.line(name).buried:
            return  # how tombstones go over to other tiers is asked in tests/policy
        self.flush()
        kept, slots = self.kept(), self.store.ledger.storage.max_slots
        if slots and self.model.slots() - retention.most(self.model.line(name).keep) + retention.most(keep) > slots:
            refusal(rrdstore.LimitReached, lambda: self.store.tune(name, keep))
            return
        dry = self.store.tune(name, keep, dry_run=True)
        assert self.kept() == kept
        done = self.store.tune(name, keep)
        if self.model.line(name).keep != keep:
            self.model.tune(name, keep)
        assert (done.keep, done.drop) == (dry.keep, dry.drop)
        assert {self.id(number) for number in kept - self.model.kept()} == set(done.drop)
        assert self.store.branch(name).keep == keep

    @rule(where=calls.branch, keep=st.sampled_from(KEEPS))
    def compact(self, where: int, keep: str) -> None:
        """A policy applied once: what goes is what its plan says, and again nothing goes."""
        name = self.living(where)
        if self.model.line(name).buried:
            return
        self.flush()
        kept = self.kept()
        going = self.store.plan(keep, name).drop
        done = self.store.compact(name, keep)
        self.model.tune(name, keep, once=True)
        assert set(done) == set(going) == {self.id(number) for number in kept - self.model.kept()}
        assert self.store.compact(name, keep) == ()
        assert self.kept() == self.model.kept()

    # Tags and pins

    @rule(which=calls.some, tag=st.sampled_from("tuvw"))
    def tag(self, which: int, tag: str) -> None:
        """Name a kept commit."""
        number = self.pick(which)
        if tag in self.model.tags:
            refusal(rrdstore.Exists, lambda: self.store.tag(tag, self.id(number)))
        else:
            self.store.tag(tag, self.id(number))
            self.model.tags[tag] = number
        self.flush()

    @rule(tag=st.sampled_from("tuvw"))
    def untag(self, tag: str) -> None:
        """Forget a name."""
        if tag in self.model.tags:
            self.store.untag(tag)
            del self.model.tags[tag]
        else:
            refusal(rrdstore.NotFound, lambda: self.store.untag(tag))
        self.flush()

    @rule(which=calls.some)
    def pin(self, which: int) -> None:
        """Pin a kept commit."""
        number = self.pick(which)
        limit = self.store.ledger.storage.max_pins
        if limit and len(self.model.pins) >= limit and number not in self.model.pins:
            refusal(rrdstore.LimitReached, lambda: self.store.pin(self.id(number)))
        else:
            self.store.pin(self.id(number))
            self.model.pins.add(number)
        self.flush()

    @precondition(lambda self: self.model.pins)
    @rule(which=calls.some)
    def unpin(self, which: int) -> None:
        """Leave a pinned commit to the tiers."""
        number = sorted(self.model.pins)[which % len(self.model.pins)]
        self.store.unpin(self.id(number))
        self.model.pins.discard(number)
        self.flush()
