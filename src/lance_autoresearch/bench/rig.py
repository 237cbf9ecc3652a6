"""The rig: all that is needed to measure kernels of one target on this machine.

    with Rig(root, "pq-l2", champion=None, phases=phases) as rig:
        rig.champion          # the champion's library (upstream's first kernel if None)
        rig.epoch             # secret pools with upstream's answers
        rig.aa_sd             # what noise looks like here today
        rig.pair(a, b, pools) # one process pair

It reads the pinned tree only. The one thing that comes from an agent, the text of a kernel, is
given to `trial.run_trial`. Pools, the session's A/A and the layouts are made when first used.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from lance_autoresearch import oracle
from lance_autoresearch.bench import tiers
from lance_autoresearch.bench.conductor import CheckResult, Conductor, PairResult, ensure_built
from lance_autoresearch.bench.conductor import audit as audit_object
from lance_autoresearch.bench.epoch import Epoch, current
from lance_autoresearch.bench.pools import Pool, make_pools
from lance_autoresearch.build import builder
from lance_autoresearch.build.provenance import immutable
from lance_autoresearch.errors import BuildFault, MachineError
from lance_autoresearch.host import checkout, machine, machine_lock, scratch, toolchain
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.ledger import Ledger, SessionRow, judged_key
from lance_autoresearch.records import ComboId, Comparison, PairTimes
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.confirmation import Estimate, aa_bias, aa_sd
from lance_autoresearch.rules.estimator import too_many_void, void_reasons
from lance_autoresearch.rules.policy import DEFAULT, Policy
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.spec import Maker

Answered = TypeVar("Answered", CheckResult, PairResult)
SECOND_CHANCES = 1
"""Answers of a trial that may come too late before the kernel is blamed."""
SESSION_PAIRS = 16
SEED_BITS = 62
MANY_CALLS = 64
QUIET_WAIT_S = 10.0
QUIET_STEP_S = 0.25
QUIET_SHARE = 0.2
"""Foreign CPU on the measuring core that is worth waiting for."""


class Rig:
    """Libraries, pools, conductor and noise floor of one target; a context manager."""

    def __init__(
        self,
        root: Path,
        target: str,
        *,
        champion: bytes | None = None,
        phases: Phases | None = None,
        policy: Policy = DEFAULT,
    ) -> None:
        """Build what is missing.

        Args:
            champion: text of the kernel to beat; None is upstream's own code.

        Raises:
            LarError: no such target, no toolchain, upstream not as pinned, a build fault.
        """
        self.root = root
        self.policy = policy
        self.phases = phases or Phases()
        with self.phases("setup"), machine_lock.machine_lock("shared"):
            self.target = catalogue.load(root, target)
            oracle.fetch(root)
            ensure_built(root)
            first = builder.first_kernel(root, target)
            self.champion_text = first if champion is None else champion
            self.upstream = builder.build_upstream(root, target)
            self.champion = builder.build_kernel(root, target, self.champion_text)
            self.immutable = immutable(root, self.target, policy)
            self.toolchain = toolchain.Toolchain.probe(root).version
        self.machine = machine.machine()
        cores = machine.cores()
        self.cores = (cores[-1], cores[0])
        self.combos = tuple(ComboId(c.op, c.name, c.weight) for c in self.target.timed)
        self.has_epoch = False
        self.chances = 0

    def __enter__(self) -> Self:
        self.ledger = Ledger.open(self.root)
        self.scratch = scratch.scratch(self.root, "rig")
        self.conductor = Conductor(self.root, core_a=self.cores[0], core_b=self.cores[1])
        self.opened = self.conductor.start()
        self.machine["box"] = self.opened.box
        return self

    def begin_trial(self) -> None:
        """Count a trial on the epoch's pools; pools that are worn out are made anew.

        So is a session that is over, when the trial first asks for its noise. A conductor that
        somebody has killed is started again: one trial may be lost with it.
        """
        self.conductor.ensure()
        self.forget_session()
        self.chances = SECOND_CHANCES
        if self.has_epoch and self.epoch.over:
            self.epoch.release()
            self.__dict__.pop("epoch")
            self.has_epoch = False
        self.epoch.count()

    def __exit__(self, *why: object) -> None:
        if self.has_epoch:
            self.epoch.release()
        self.conductor.__exit__(*why)
        self.ledger.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def crown(self, text: bytes) -> None:
        """Make a kept kernel the champion; its own noise is measured at the next trial."""
        self.champion_text = text
        self.champion = builder.build_kernel(self.root, self.target.name, text)
        self.forget_session()

    # -- pools -----------------------------------------------------------------------------

    @cached_property
    def epoch(self) -> Epoch:
        """The living epoch's pools; making a new one is a phase of its own."""
        name = self.target.name
        key = hashlib.sha256(repr(sorted(self.immutable.items())).encode()).hexdigest()
        with self.phases("pools"):
            epoch = current(
                self.target,
                checkout.lar_dir(self.root, "epochs", name),
                key,
                self.maker,
                self.answer,
                lambda ended, seed: self.ledger.end_epoch(name, ended, seed),
                lambda begun, seed: self.ledger.open_epoch(name, begun, secret=seed),
            )
        self.has_epoch = True
        return epoch

    @cached_property
    def maker(self) -> Maker | None:
        """The target's maker (a trusted program made of upstream's code), or None."""
        if not (self.root / "targets" / self.target.name / "maker.rs").is_file():
            return None
        program = builder.maker(self.root, self.target.name)
        return lambda request: subprocess.run(
            [program], input=request, stdout=subprocess.PIPE, check=True
        ).stdout

    def answer(self, pool: Pool) -> None:
        """Write what upstream says to a pool."""
        done = self.conductor.expect(self.upstream.so, pool.path, pool.want)
        if done.fault is not None:
            raise BuildFault(
                f"Lance's own code failed on its inputs: {done.fault.kind} {done.fault.note or ''}",
                where=f"{self.target.name} {done.fault.combo}, call {done.fault.call}",
                next=f"./lar upstream show {self.target.name}",
            )

    def fresh_pools(self) -> tuple[list[Pool], int]:
        """New secret pools at every combo's second size, and their seed (burnt afterwards)."""
        seed = secrets.randbits(SEED_BITS)
        return self._answered("fresh", seed, confirm=True), seed

    def strange_pools(self) -> list[Pool]:
        """New secret pools of few calls, no two alike in size, data or tables."""
        return self._answered("strange", secrets.randbits(SEED_BITS), strange=True)

    def _answered(self, name: str, seed: int, **kind: bool) -> list[Pool]:
        timed = self.target.timed
        pools = make_pools(self.target, timed, self.scratch / name, seed, self.maker, **kind)
        list(map(self.answer, pools))
        return pools

    # -- measuring -------------------------------------------------------------------------

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Hold the machine for measuring: nobody builds or measures meanwhile."""
        with machine_lock.machine_lock("exclusive") as waited:
            if waited > 0.1:
                self.phases.add("lock", waited)
            yield

    def wait_for_quiet(self) -> None:
        """Pause, at most 10 s a trial, until others leave the measuring core alone."""
        while self.phases.seconds.get("waited", 0.0) < QUIET_WAIT_S:
            self.phases.add("waited", QUIET_STEP_S)
            if machine.busy_share(self.cores[0], QUIET_STEP_S) < QUIET_SHARE:
                return
            self.phases.say("waiting: others keep the measuring core busy")

    def check(
        self, library: Path, tier: str, pools: Sequence[Pool] | None = None
    ) -> CheckResult:
        """Every checked and timed case once, at a CPU tier, in a fresh secret order."""
        pools = self._cases(tier) if pools is None else pools
        features = tiers.mask(tier, self.opened.features)
        return self._in_time(
            lambda: self.conductor.check(library, _paths(pools), seed=_seed(), features=features)
        )

    def _in_time(self, ask: Callable[[], Answered]) -> Answered:
        """An answer; the first of a trial that was too late is asked for once more.

        Whoever stops this machine's processes for some seconds (a suspend, a debugger, a frozen
        container) makes a right kernel look as if it hung. A kernel that hangs does so again.
        """
        found = ask()
        late = found.fault is not None and found.fault.kind == "timeout"
        if late and self.chances:
            self.chances -= 1
            self.phases.say("no answer in time: asking once more")
            self.conductor.ensure()
            found = ask()
        return found

    def _cases(self, tier: str) -> list[Pool]:
        """All of them; at lower tiers without the timed pools of very many calls.

        Those are larger helpings of what the checks hold already (an fsst pool has a thousand
        chunks), and every timed slice is compared anyway at the tier that is timed.
        """
        timed = [p for p in self.epoch.timed if tier == "native" or p.combo.calls <= MANY_CALLS]
        return [*self.epoch.checks, *timed]

    def pair(
        self,
        champion: Path,
        candidate: Path,
        pools: Sequence[Pool],
        *,
        rounds: int | None = None,
        block_ms: int | None = None,
        calls: Sequence[int] | None = None,
        tier: str = "native",
        opponent: Path | None = None,
    ) -> PairResult:
        """One pair of fresh processes over the pools, in a fresh secret order.

        `calls` per slice, one number a pool, in place of calibrated ones. `opponent`: the
        champion's times behind this library and behind the candidate (`Conductor.pair`).
        """
        return self._in_time(
            lambda: self.conductor.pair(
                champion,
                candidate,
                _paths(pools),
                seed=_seed(),
                rounds=rounds or self.policy.rounds,
                slice_us=self.policy.slice_us,
                calls=calls,
                block_ms=block_ms,
                features=tiers.mask(tier, self.opened.features),
                opponent=opponent,
            )
        )

    def times(self, pair: PairResult) -> PairTimes:
        """The times of a pair without a fault; a pair void from the start has none."""
        if pair.times is not None:
            return pair.times
        none = tuple(() for _ in self.combos)
        return PairTimes(tuple(0 for _ in none), none, none, (0, 0), pair.void or "never began")

    def comparison(self, pairs: Sequence[PairTimes], *, floored: bool = True) -> Comparison:
        """Pairs as the gate wants them, with this session's noise as the floor."""
        floor = self.aa_sd if floored else ()
        return Comparison(self.combos, tuple(pairs), self.opened.ticks_per_ns, floor)

    @property
    def aa_sd(self) -> tuple[float, ...]:
        """SD per component of the session's A/A, as `Comparison.aa_sd`."""
        return self.session.aa_sd

    @property
    def fitted(self) -> Policy:
        """The policy, with as many pairs as this session's noise asks for."""
        return self.policy.fitted(self.aa_sd[-1])

    @property
    def aa(self) -> Estimate:
        """The session's bias with its 99 % interval, in %."""
        half = stats.student_t_quantile(0.995, SESSION_PAIRS - 1) * self.session.aa_sd[-1]
        half, bias = 100 * half / SESSION_PAIRS**0.5, 100 * self.session.bias
        return Estimate("all", bias, bias - half, bias + half, SESSION_PAIRS)

    @cached_property
    def session(self) -> SessionRow:
        """What noise looks like here: the champion against its copy.

        The first trial of a boot, target and champion, and the first after 12 hours
        (`Ledger.session`), runs 16 pairs for it and says so. It stays the same within a trial.

        Raises:
            MachineError: too many of its pairs were void.
        """
        return self._known_session() or self.new_session()

    def forget_session(self) -> None:
        """Between trials only: the next one may be another, and numbers of pairs with it."""
        self.__dict__.pop("session", None)

    def _known_session(self) -> SessionRow | None:
        champion = hashlib.sha256(self.champion_text).hexdigest()
        key = self.immutable["all"]
        return self.ledger.session(self.target.name, champion, machine.boot_id(), key=key)

    def new_session(self) -> SessionRow:
        """Measure the session's A/A now, whether or not one is known; it counts from here on.

        Raises:
            MachineError: too many of its pairs were void.
        """
        self.conductor.ensure()
        self.phases.say(f"measuring the noise: {SESSION_PAIRS} pairs of the champion and its copy")
        with self.phases("session"):
            measured = self.measure_aa(SESSION_PAIRS)
        if too_many_void(measured, self.policy):
            raise MachineError(
                f"the noise of this machine cannot be measured: {void_reasons(measured)}",
                where=self.target.name,
                next="lar doctor; try again when the machine is calmer",
            )
        spread, bias = aa_sd(measured, self.policy), aa_bias(measured, self.policy)
        champion = hashlib.sha256(self.champion_text).hexdigest()
        self.ledger.add_session(self.target.name, champion, machine.boot_id(), spread,
                                bias.gain / 100, key=self.immutable["all"])
        self.forget_session()
        found = self._known_session()
        assert found is not None
        fitted = self.policy.fitted(spread[-1])
        if fitted != self.policy:
            self.phases.say(f"a pair spreads by {100 * spread[-1]:.1f} % here: up to "
                            f"{fitted.max_pairs} pairs a trial, {fitted.confirm_pairs} to confirm")
        return found

    def measure_aa(self, pairs: int) -> Comparison:
        """The champion against a copy of its own file, on the epoch's pools."""
        copy = self.scratch / "copy.so"
        shutil.copyfile(self.champion.so, copy)
        found = []
        with self.measuring():
            for _ in range(pairs):
                pair = self.pair(self.champion.so, copy, self.epoch.timed)
                if pair.fault is not None:
                    raise MachineError(
                        f"the champion itself failed in an A/A pair: {pair.fault.kind}",
                        where=pair.fault.combo, next=f"./lar check {self.target.name}",
                    )
                found.append(self.times(pair))
                void = sum(times.void is not None for times in found)
                if pair.void is not None and pair.void.startswith("foreign"):
                    self.wait_for_quiet()
                if void > max(self.policy.max_void, self.policy.max_void_share * pairs):
                    break  # nothing can be learnt any more
        return self.comparison(found, floored=False)

    # -- builds ----------------------------------------------------------------------------

    def layouts(self, candidate: builder.Built, count: int) -> list[tuple[Path, Path]]:
        """(champion, candidate) libraries, every one linked in a fresh random layout."""
        seeds = [secrets.randbits(32) for _ in range(2 * count)]
        with machine_lock.machine_lock("shared"):
            champions = builder.relink_many(self.champion, seeds[:count])
            candidates = builder.relink_many(candidate, seeds[count:])
        return list(zip(champions, candidates, strict=True))

    def audit_report(self, built: builder.Built) -> dict[str, Any]:
        """What the candidate's own object file contains."""
        return audit_object(self.root, built.obj, built.so)

    def judged_key(self, candidate: builder.Built) -> str:
        """Under which a verdict on this code is remembered."""
        return judged_key(
            candidate.digest,
            self.champion.digest,
            self.immutable["all"],
            self.policy,
            self.toolchain,
            f"{self.machine['kind']} {self.machine['box']}",
        )


def _paths(pools: Sequence[Pool]) -> list[tuple[Path, Path]]:
    return [(pool.path, pool.want) for pool in pools]


def _seed() -> int:
    return secrets.randbits(SEED_BITS)
