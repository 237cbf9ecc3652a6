"""The bench: all that is needed to run kernels of one target on this machine.

    with Bench(root, "hamming") as bench:
        bench.build(text)             a kernel's library
        bench.inputs.epoch            secret pools with Lance's outputs
        bench.check_library(library, "avx2")  every case once, compared with Lance
        bench.make_meter(...)         pairs of champion and candidate

It reads the pinned tree only, knows neither ledger nor campaign, and decides nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

from lance_autoresearch.bench import tiers
from lance_autoresearch.bench.conductor import CheckResult, Conductor, PairResult
from lance_autoresearch.bench.drawn import hide_case
from lance_autoresearch.bench.inputs import Inputs, draw_seed
from lance_autoresearch.bench.meter import ConductorMeter, PairPlan, Sides
from lance_autoresearch.bench.pools import Pool
from lance_autoresearch.bench.trusted import Trusted
from lance_autoresearch.host import machine, scratch
from lance_autoresearch.host.machine_lock import lock_machine
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.host.process_limits import ensure_process_limits
from lance_autoresearch.records import ComboId, FaultKind
from lance_autoresearch.rules.policy import DEFAULT, Policy

Answered = TypeVar("Answered", CheckResult, PairResult)
SECOND_CHANCES = 1
"""Late answers of a trial that the bench asks for again before the kernel is at fault."""
QUIET_WAIT_S = 10.0
QUIET_STEP_S = 0.25
QUIET_SHARE = 0.2
"""Share of other processes on the measuring core above which the bench waits."""


class Bench:
    """Libraries, inputs and the measuring program of one target; a context manager."""

    def __init__(self, root: Path, target: str, *, phases: Phases | None = None) -> None:
        """Build what is missing.

        Raises:
            LarError: no such target, no toolchain, upstream not as pinned, a build fault.
        """
        self.root = root
        self.phases = phases or Phases()
        ensure_process_limits()
        self.cores = machine.choose_cores()
        with self.phases("setup"):
            self.trusted = Trusted.prepare(root, target)
        self.target, self.toolchain = self.trusted.target, self.trusted.toolchain
        self.first_kernel, self.oracle = self.trusted.first_kernel, self.trusted.oracle
        self.build, self.provenance = self.trusted.build, self.trusted.measure_provenance
        self.machine = machine.describe_machine()
        # Noise holds for one boot and for the cores it was measured on.
        self.boot = f"{machine.read_boot_id()} cores {self.cores[0]},{self.cores[1]}"
        self.combos = tuple(ComboId(c.op, c.name, c.weight) for c in self.target.timed)
        self._chances = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.scratch = stack.enter_context(scratch.hold_scratch(self.root, "bench"))
            self.conductor = stack.enter_context(
                Conductor(self.root, core_a=self.cores[0], core_b=self.cores[1])
            )
            self._held = stack.pop_all()
        assert self.conductor.opened is not None
        self.opened = self.conductor.opened
        self.machine["box"] = self.opened.box
        key = self.provenance(DEFAULT)["inputs"]
        self.inputs = Inputs(
            self.root, self.target, self.conductor, self.oracle, key, self.scratch,
            lambda: self.phases,
        )  # fmt: skip
        return self

    def __exit__(self, *why: object) -> None:
        self.inputs.release()
        self._held.close()

    def begin_trial(self) -> None:
        """Count a trial; start the measuring program again if it was killed."""
        self.conductor.ensure_running()
        self._chances = SECOND_CHANCES
        self.inputs.count_trial()

    # -- measuring -------------------------------------------------------------------------

    @contextmanager
    def hold_machine(self) -> Iterator[None]:
        """Hold the machine's lock: no other process builds or measures meanwhile."""
        with lock_machine("exclusive") as waited:
            if waited > 0.1:
                self.phases.add("lock", waited)
            yield

    def make_meter(
        self,
        sides: Sequence[Sides],
        pools: Sequence[Pool],
        policy: Policy,
        *,
        rounds: int | None = None,
        block_ms: int | None = None,
        calls: Sequence[int] | None = None,
        tier: str = "native",
        drawn: bool = False,
    ) -> ConductorMeter:
        """A meter of these sides over these pools, as `PairPlan` says."""
        fixed = None if calls is None else tuple(calls)
        plan = PairPlan(
            rounds or policy.rounds, policy.slice_us, block_ms, fixed, tier, drawn=drawn
        )
        return ConductorMeter(self, sides, pools, plan)

    def check_library(
        self, library: Path, tier: str, pools: Sequence[Pool] | None = None
    ) -> CheckResult:
        """Every fixed, drawn and timed case once, at a CPU tier, in a fresh secret order.

        At a tier that is another one on this processor, the drawn cases are left out.
        """
        if pools is None:
            cases = self.inputs.select_cases(tier, drawn=tier in self.list_tiers())
        else:
            cases = list(pools)
        paths = [(pool.path, pool.expected) for pool in cases]
        features = tiers.find_feature_mask(tier, self.opened.features)
        found = self.ask_in_time(
            lambda: self.conductor.check_pools(library, paths, seed=draw_seed(), features=features)
        )
        if found.fault is None:
            return found
        return replace(found, fault=replace(hide_case(cases, found.fault), tier=tier))

    def list_tiers(self) -> list[str]:
        """The target's tiers that this processor can run and that differ on it."""
        return tiers.list_distinct(self.target.tiers, self.opened.features)

    def ask_in_time(self, ask: Callable[[], Answered]) -> Answered:
        """Return an answer; ask once more for the first answer of a trial that was too late.

        A stop of this machine's processes for some seconds (a suspend, a debugger, a frozen
        container) makes a right kernel look as if it hung. A kernel that hangs does so again.
        """
        found = ask()
        late = found.fault is not None and found.fault.kind is FaultKind.TIMEOUT
        if late and self._chances:
            self._chances -= 1
            self.phases.say("no answer in time: asking once more")
            self.conductor.ensure_running()
            found = ask()
        return found

    def wait_for_quiet(self) -> None:
        """Pause, at most 10 s a trial, until others leave the measuring core alone."""
        while self.phases.seconds.get("waited", 0.0) < QUIET_WAIT_S:
            self.phases.add("waited", QUIET_STEP_S)
            if machine.measure_busy_share(self.cores[0], QUIET_STEP_S) < QUIET_SHARE:
                return
            self.phases.say("waiting: others keep the measuring core busy")
