"""The whole facade at random against the unbounded model, on every storage: short and shrunk, long and seeded."""

from rrdstore.testing import HOMES, FileHome, JournalledHome, NarrowHome, SmallFileHome, StoreMachine


class TestMemory(StoreMachine.TestCase):
    walks = 6


class TestJournalled(StoreMachine.TestCase):
    walks = 8

    def make(self):
        return JournalledHome()


class TestFile(StoreMachine.TestCase):
    examples = 8

    def make(self):
        return FileHome()


class TestPressed(StoreMachine.TestCase):
    examples, walks = 20, 5

    def make(self):
        return NarrowHome()


class TestSmallFile(StoreMachine.TestCase):
    examples, walks = 4, 3

    def make(self):
        return SmallFileHome()


def test_the_machine_runs_on_every_storage():
    cases = (TestMemory, TestJournalled, TestFile)
    assert {type(case().make()) for case in cases} == set(HOMES.values())
