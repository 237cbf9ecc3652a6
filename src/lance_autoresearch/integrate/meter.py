"""Pairs of processes that answer the same queries: the `Meter` of a patched Lance.

    meter = QueryMeter(space, classes, a=(), b=hooks, core=1, features=word)
    comparison = measure_pairs(meter, 8)          # bench.meter, rules.queries

A pair is two fresh processes on one core, started in random order. Each class is asked in blocks of
consecutive queries, the same block of both sides one after the other; every double round is one
block in a random order and once more in the other, so that neither side is the first more often.
Classes alternate, so that a drift of the machine meets all of them. Every answer of every block is
compared, outside the time.

                 block 0           block 0          block 1
      class 1    A  B              B  A             B  A ...
      class 2          A  B              B  A
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.machine import measure_busy_share
from lance_autoresearch.integrate.answers import is_equal
from lance_autoresearch.integrate.server import Hook, Server, ServerFault, start_server
from lance_autoresearch.integrate.workspace import Workspace
from lance_autoresearch.records import ComboId, PairTimes, Void, VoidCause
from lance_autoresearch.rules.policy import LIMITS, QUERIES


class CandidateAtFault(Exception):
    """B answered otherwise than A, or ended, or did not answer."""

    def __init__(self, class_name: str, query: int, what: str, *, differs: bool) -> None:
        super().__init__(f"{class_name} query {query}: {what}")
        self.class_name, self.query, self.what, self.differs = class_name, query, what, differs


@dataclass
class SideFacts:
    """What is known of one side over all pairs, beside times."""

    peak_memory: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    """Op -> calls behind the hook."""


class QueryMeter:
    """Pairs of processes; A is what B is compared with."""

    def __init__(
        self, space: Workspace, classes: Sequence[str], *, a: Sequence[Hook] = (),
        b: Sequence[Hook] = (), core: int, features: int, rng: random.Random | None = None,
    ) -> None:  # fmt: skip
        self._space, self._classes, self._sides = space, tuple(classes), (tuple(a), tuple(b))
        self._core, self._features = core, features
        self._rng = rng or random.Random()
        self.combos = tuple(ComboId("query", name) for name in self._classes)
        self.ticks_per_ns = 1.0
        self.facts = (SideFacts(), SideFacts())
        self.compared = 0
        """Queries whose answers were compared."""

    def measure_pair(self) -> PairTimes:
        """One pair. Raises CandidateAtFault, or MachineError if A fails."""
        first = self._rng.randrange(2)
        with self._start(first) as one, self._start(1 - first) as other:
            sides = (one, other) if first == 0 else (other, one)
            pair = self._measure(sides)
        if pair.void is not None:
            self._wait_for_quiet()
        return pair

    def _wait_for_quiet(self) -> None:
        """Until others use less than half of the core, but not for long."""
        for _ in range(QUERIES.quiet_looks):
            if measure_busy_share(self._core, 0.5) < LIMITS.foreign_share:
                return

    def _start(self, side: int) -> _Started:
        return _Started(self, side)

    def _measure(self, sides: tuple[Server, Server]) -> PairTimes:
        counts = [self._warm(sides, name) for name in self._classes]
        empty = tuple(self._measure_empty(sides, side) for side in (0, 1))
        core_time = _read_core(self._core)
        begun, cpu = time.monotonic(), sum(side.read_cpu_seconds() for side in sides)
        ticks: list[tuple[list[int], list[int]]] = [([], []) for _ in self._classes]
        for _ in range(QUERIES.rounds):
            starts = [self._rng.randrange(1000) for _ in self._classes]
            orders = [self._rng.randrange(2) for _ in self._classes]
            for again in (0, 1):
                for index in self._rng.sample(range(len(self._classes)), len(self._classes)):
                    head = orders[index] ^ again
                    spent = self._ask_block(sides, index, head, starts[index], counts[index])
                    for side in (0, 1):
                        ticks[index][side].append(spent[side])
        wall = time.monotonic() - begun
        used = sum(side.read_cpu_seconds() for side in sides) - cpu
        self._note_facts(sides)
        return PairTimes(
            calls=tuple(counts),
            champion=tuple(tuple(a) for a, _ in ticks),
            candidate=tuple(tuple(b) for _, b in ticks),
            empty=(empty[0], empty[1]),
            void=_find_foreign_work(core_time, self._core, used, wall),
        )

    def _warm(self, sides: tuple[Server, Server], name: str) -> int:
        """Warm both sides; queries of a block, so that one takes `block_ms` on A."""
        index = self._classes.index(name)
        self._ask_block(sides, index, self._rng.randrange(2), 0, 2)
        spent = self._ask_block(sides, index, 0, 2, QUERIES.warm_queries)
        per_query = max(1.0, spent[0] / QUERIES.warm_queries)
        return max(1, min(QUERIES.most_queries, round(QUERIES.block_ms * 1e6 / per_query)))

    def _measure_empty(self, sides: tuple[Server, Server], side: int) -> int:
        """Nanoseconds of a request for no queries: the passage through the pipes."""
        name = self._classes[0]
        spent = sorted(self._run(sides, side, name, 0, 0) for _ in range(15))
        return spent[7]

    def _ask_block(
        self, sides: tuple[Server, Server], index: int, head: int, first: int, count: int
    ) -> tuple[int, int]:
        """The same queries on both sides, `head` first; nanoseconds of A and of B."""
        name = self._classes[index]
        spent = [0, 0]
        for side in (head, 1 - head):
            spent[side] = self._run(sides, side, name, first, count)
        self._compare(sides, name, first, count)
        return spent[0], spent[1]

    def _run(
        self, sides: tuple[Server, Server], side: int, name: str, first: int, count: int
    ) -> int:
        try:
            return sides[side].run_queries(name, first, count)
        except ServerFault as fault:
            raise self._blame(side, name, first, str(fault)) from None

    def _compare(self, sides: tuple[Server, Server], name: str, first: int, count: int) -> None:
        read = []
        for side in (0, 1):
            try:
                read.append(sides[side].read_answers())
            except ServerFault as fault:
                raise self._blame(side, name, first, str(fault)) from None
        for side in (0, 1):
            if len(read[side]) != count:
                raise self._blame(side, name, first, f"{len(read[side])} answers, not {count}")
        for query, (a, b) in enumerate(zip(*read, strict=True), first):
            if not is_equal(a, b):
                raise CandidateAtFault(name, query, "another answer than Lance's", differs=True)
        self.compared += count

    def _blame(self, side: int, name: str, query: int, what: str) -> Exception:
        if side == 1 and self._sides[1]:
            return CandidateAtFault(name, query, what, differs=False)
        return MachineError(what, where=f"Lance itself, {name}", next="./lar integrate setup")

    def _note_facts(self, sides: tuple[Server, Server]) -> None:
        for server, facts in zip(sides, self.facts, strict=True):
            facts.peak_memory = max(facts.peak_memory, server.read_peak_memory())
            for row in server.read_counters():
                op = str(row.get("op"))
                facts.calls[op] = facts.calls.get(op, 0) + int(row.get("calls", 0))


class _Started:
    """One side's process; a failure to start is that side's."""

    def __init__(self, meter: QueryMeter, side: int) -> None:
        self._meter, self._side = meter, side
        self._manager = start_server(
            meter._space, meter._classes, hooks=meter._sides[side], core=meter._core,
            features=meter._features,
        )  # fmt: skip

    def __enter__(self) -> Server:
        try:
            return self._manager.__enter__()
        except ServerFault as fault:
            raise self._meter._blame(self._side, "start", 0, str(fault)) from None

    def __exit__(self, *about: object) -> None:
        self._manager.__exit__(*about)  # type: ignore[arg-type]


def _read_core(core: int) -> tuple[float, float]:
    """Busy and all seconds of a core since boot."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            values = [int(value) for value in line.split()[1:9]]
            return (sum(values) - values[3] - values[4]) / 100.0, sum(values) / 100.0
    return 0.0, 0.0


def _find_foreign_work(
    before: tuple[float, float], core: int, used: float, wall: float
) -> Void | None:
    """Whether others used more of the core than a pair allows."""
    busy = _read_core(core)[0] - before[0]
    share = max(0.0, busy - used) / wall if wall > 0 else 0.0
    if share <= LIMITS.foreign_share:
        return None
    return Void(VoidCause.FOREIGN_WORK, f"other processes used {100 * share:.0f} % of the core")
