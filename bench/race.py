"""A race: contestants take turns on the same machine, lap by lap, and each keeps its best lap.

Rule: figures are compared only within one race. A machine that is busy with other things slows everybody; taking
turns spreads that over all, and the minimum of several laps drops most of it (noise only ever adds). Wall time says
what a caller waits for; CPU time, of the process that does the work, says what it costs and is the steadier of the
two. A ratio is a contestant's time over ours: above 1 it is the slower one.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_benchmark.fixture import BenchmarkFixture

LAPS = int(os.environ.get("BENCH_LAPS", "7"))


@dataclass(frozen=True, slots=True)
class Lap:
    """So many operations, and what they took in all: seconds."""

    operations: int
    wall: float
    cpu: float


class Contestant(Protocol):
    """Somebody who can do the same thing again and again."""

    name: str

    def lap(self) -> Lap:
        """Do it for a while."""
        ...


@dataclass(slots=True)
class Best:
    """The least that an operation took in any lap: microseconds. Wall and CPU each have a best lap of their own."""

    wall: float = float("inf")
    cpu: float = float("inf")
    operations: int = 0
    spent: float = 0.0
    """Of all laps, microseconds of CPU."""

    def offer(self, lap: Lap) -> None:
        """Count a lap."""
        self.wall = min(self.wall, lap.wall / lap.operations * 1e6)
        self.cpu = min(self.cpu, lap.cpu / lap.operations * 1e6)
        self.operations += lap.operations
        self.spent += lap.cpu * 1e6

    @property
    def mean(self) -> float:
        """Microseconds of CPU of an operation, of all laps."""
        return self.spent / self.operations if self.operations else self.cpu


@dataclass(slots=True)
class Race:
    """What is measured, whose figures are the unit of the ratios, and everybody's best lap."""

    title: str
    ours: str
    best: dict[str, Best] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)  # who did not take part, and why

    def run(self, benchmark: BenchmarkFixture, contestants: Sequence[Contestant]) -> None:
        """Let them take turns; pytest-benchmark's own figure is our lap, the rivals' are run between."""
        self.best = {contestant.name: Best() for contestant in contestants}
        (us,) = [contestant for contestant in contestants if contestant.name == self.ours]
        rivals = [contestant for contestant in contestants if contestant is not us]

        def turn() -> None:
            for rival in rivals:
                self.best[rival.name].offer(rival.lap())
            rivals.append(rivals.pop(0))

        def our_turn() -> None:
            self.best[us.name].offer(us.lap())

        benchmark.pedantic(our_turn, setup=turn, rounds=LAPS, warmup_rounds=1)
        benchmark.extra_info["contestants"] = {name: asdict(best) for name, best in self.best.items()}

    def table(self) -> str:
        """As Markdown, which is readable in a terminal too."""
        us = self.best[self.ours]
        rows = [("", "operations/s", "wall µs", "CPU µs", "mean", "wall ratio", "CPU ratio")]
        rows += [
            (
                name,
                f"{1e6 / best.wall:,.0f}",
                f"{best.wall:.1f}",
                f"{best.cpu:.1f}",
                f"{best.mean:.1f}",
                f"{best.wall / us.wall:.2f}",
                f"{best.cpu / us.cpu:.2f}",
            )
            for name, best in self.best.items()
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["| " + " | ".join(_cell(row, widths)) + " |" for row in rows]
        lines.insert(
            1,
            "|"
            + "|".join(("-" * (width + 1) + ":", "-" * (width + 2))[i == 0] for i, width in enumerate(widths))
            + "|",
        )
        lines += [f"\n{name} did not take part: {why}." for name, why in self.absent.items()]
        return f"{self.title}\n\n" + "\n".join(lines)


def _cell(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        text.rjust(width) if i else text.ljust(width) for i, (text, width) in enumerate(zip(row, widths, strict=True))
    ]


def cpu_of(pid: int) -> float:
    """The CPU time of a process so far, all its threads: seconds. Nanoseconds where the kernel counts them."""
    try:
        return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except FileNotFoundError:  # a kernel without schedstat counts clock ticks only
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
