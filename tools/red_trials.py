"""Runs spoiled kernels through the real judge: where each one ends.

    with RedBench(root, "hamming") as bench:
        bench.check(mutant.text)   wrong kernels: admission, build, audit, checks, a full draw
        bench.judge(mutant.text)   slow ones: total times against a delayed champion, then all
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from red_kinds import Harm, Stage
from red_space import World

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.conductor import audit_object
from lance_autoresearch.bench.layouts import link_layouts
from lance_autoresearch.bench.meter import KernelAtFault, Sides
from lance_autoresearch.bench.noise import measure_noise
from lance_autoresearch.bench.pools import Pool
from lance_autoresearch.calibration.dosing import Dose, guess_dose
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.judge.admission import admit, check_audit
from lance_autoresearch.judge.check import check
from lance_autoresearch.judge.job import Job
from lance_autoresearch.judge.judge import judge
from lance_autoresearch.judge.secret_cases import check_draw
from lance_autoresearch.judge.totals import defend_over
from lance_autoresearch.oracle import list_linked_names
from lance_autoresearch.records import Fault, NoiseSession, Verdict
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.targets.champion import read_champion

SHARE = 0.4
"""Delay of the champion that slow kernels must beat, as a share of a call, guessed."""
PER_DRAW = 25
"""Kernels that one draw serves; the judge makes one for each would-be keep."""
LAYOUTS = 3
"""Layouts of both sides in which total times are measured."""


@dataclass(frozen=True, slots=True)
class End:
    """How one trial ended."""

    stage: str
    """A `Stage`, or the kind of reason for which the judge did not keep it."""
    detail: str
    """The case, or the component that decided."""
    seconds: float

    @property
    def is_kept(self) -> bool:
        """Whether the judge would have kept it."""
        return self.stage == Stage.KEPT


class SharedPools:
    """Secret pools that serve `PER_DRAW` kernels."""

    def __init__(self, take: Callable[[ExitStack], list[Pool]]) -> None:
        """Args:
            take: makes pools; they live as long as the stack that it is given.
        """
        self._take, self._held, self._served = take, ExitStack(), 0
        self._pools: list[Pool] = []

    def renew(self) -> list[Pool]:
        """The pools for one more kernel."""
        if self._served % PER_DRAW == 0:
            self.close()
            self._pools = self._take(self._held)
        self._served += 1
        return self._pools

    def close(self) -> None:
        """Remove them."""
        self._held.close()


class RedBench:
    """One target's bench, its honest kernels and a sample of its space; a context manager."""

    def __init__(self, root: Path, target: str) -> None:
        """Build what is missing. Raises LarError as `Bench`."""
        self.bench = Bench(root, target)
        self.champion = read_champion(root, target) or self.bench.first_kernel
        known = (*self.bench.target.timed, *self.bench.target.checks)
        self._fixed = {f"{case.op} {case.name}" for case in known}

    def __enter__(self) -> Self:
        self.bench.__enter__()
        inputs = self.bench.inputs
        self._cases = SharedPools(lambda held: held.enter_context(inputs.take_draw())[0])
        self._inputs = SharedPools(lambda held: held.enter_context(inputs.take_totals()))
        return self

    def __exit__(self, *why: object) -> None:
        self._cases.close()
        self._inputs.close()
        self.bench.__exit__(*why)

    def look(self, draws: int, seed: int) -> World:
        """Sample the target's space."""
        bench = self.bench
        return World.look(
            bench.root, bench.target, self.champion, draws=draws, seed=seed,
            make=bench.inputs.maker,
        )  # fmt: skip

    def honest(self, harm: Harm) -> bytes:
        """The kernel to be spoiled: the champion; for slow ones the same without its delay."""
        return self.champion if harm is Harm.WRONG else self._dose.render_kernel({})

    @cached_property
    def _dose(self) -> Dose:
        return guess_dose(self.bench, self.champion, self.bench.inputs.make_fresh()[0])

    @cached_property
    def delayed(self) -> bytes:
        """The champion of slow kernels: the same code, each call slower by about `SHARE`."""
        return self._dose.render_kernel(dict.fromkeys(self._dose.rows, SHARE))

    @cached_property
    def _noise(self) -> NoiseSession:
        built = self.bench.build(self.delayed)
        self.bench.begin_trial()
        return measure_noise(self.bench, built, self.delayed, DEFAULT)

    def check(self, text: bytes) -> End:
        """Admission, build, audit and every check; nothing is timed."""
        begun, bench = time.monotonic(), self.bench
        try:
            admit(text)
            built = bench.build(text)
            linked = list_linked_names(bench.root, bench.target.name)
            check_audit(audit_object(bench.root, built.obj, built.so), text, linked)
        except RejectedKernel as refusal:
            return End(Stage.REFUSED, str(refusal).partition("\n")[0], time.monotonic() - begun)
        _, end = check(bench, built, bench.build(self.champion))
        if end is None:
            _, end = check_draw(bench, built, self._cases.renew())
        spent = time.monotonic() - begun
        if end is None:
            return End(Stage.KEPT, "", spent)
        assert end.fault is not None
        return End(self._name_stage(end.fault), f"{end.fault.kind} {end.fault.combo}", spent)

    def _name_stage(self, fault: Fault) -> Stage:
        """Whether a fixed case or a drawn one found a fault."""
        return Stage.FIXED if fault.combo in self._fixed else Stage.DRAWN


    def check_pair(self, text: bytes, pairs: int = 2) -> End:
        """The same, then pairs of timed slices: what is compared there, not how fast it is."""
        end, bench = self.check(text), self.bench
        if not end.is_kept:
            return end
        begun = time.monotonic()
        sides = Sides(bench.build(self.champion).so, bench.build(text).so)
        meter = bench.make_meter([sides], bench.inputs.epoch.timed, DEFAULT)
        try:
            for _ in range(pairs):
                meter.measure_pair()
        except KernelAtFault as caught:
            detail = f"{caught.fault.kind} {caught.fault.combo}"
            return End(Stage.SLICE, detail, end.seconds + time.monotonic() - begun)
        return replace(end, seconds=end.seconds + time.monotonic() - begun)

    def judge(self, text: bytes) -> End:
        """Total times against the delayed champion; if they refuse nothing, the whole judge."""
        begun = time.monotonic()
        self.bench.begin_trial()
        layouts = link_layouts(self.bench.build(self.delayed), self.bench.build(text), LAYOUTS)
        end = defend_over(self.bench, layouts, self._inputs.renew(), DEFAULT).end
        if end is None:
            return self._judge_whole(text, begun)
        stage = Stage.TOTALS if end.verdict is Verdict.REVERT else Stage.INCONCLUSIVE
        detail = f"{end.reason.kind} {end.reason.about}"
        return End(stage, detail, time.monotonic() - begun)

    def _judge_whole(self, text: bytes, begun: float) -> End:
        job = Job(self.bench.target.name, text, self.delayed, DEFAULT, noise=self._noise)
        judged = judge(job, self.bench)
        spent = time.monotonic() - begun
        if judged.verdict is Verdict.KEEP:
            return End(Stage.KEPT, "", spent)
        detail = judged.reason.about or judged.reason.detail.partition("\n")[0]
        if judged.fault is not None:
            fault = judged.fault
            return End(self._name_stage(fault), f"{fault.kind} {fault.combo}", spent)
        if judged.verdict is Verdict.INCONCLUSIVE:
            return End(Stage.INCONCLUSIVE, f"{judged.reason.kind} {detail}", spent)
        return End(str(judged.reason.kind), detail, spent)
