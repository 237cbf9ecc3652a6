"""Inputs of one target with upstream's outputs: the current epoch's, fresh ones, distinct ones.

    inputs = Inputs(root, target, conductor, oracle, key, scratch, phases)
    inputs.epoch.timed            pools of the current epoch
    inputs.make_fresh()           new secret pools at every combo's second size, and their seed
    inputs.make_distinct()        few calls, no two alike
    inputs.take_draw()            a full draw of secret cases, used once
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path

from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.bench.drawn import DrawKind, list_draw, write_draw
from lance_autoresearch.bench.epoch import Epoch, forget_ended, get_current_epoch, list_ended
from lance_autoresearch.bench.pools import Pool, make_pools
from lance_autoresearch.bench.stock import Stock
from lance_autoresearch.bench.totals import write_totals
from lance_autoresearch.build.builder import Built
from lance_autoresearch.build.kit import compile_maker
from lance_autoresearch.errors import BuildFault
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.records import EpochFacts
from lance_autoresearch.targets.spec import Maker, Target

SEED_BITS = 62
MANY_CALLS = 64
"""Timed pools of more calls than this are checked at the native tier only."""
DRAW_WAIT_S = 120.0
"""A confirmation that waits longer for the maker of draws makes its own."""


def draw_seed() -> int:
    """A secret seed."""
    return secrets.randbits(SEED_BITS)


class Inputs:
    """Pools of one target on this machine; Lance's own code computes the outputs of each once."""

    def __init__(
        self,
        root: Path,
        target: Target,
        conductor: Conductor,
        oracle: Built,
        key: str,
        scratch: Path,
        phases: Callable[[], Phases],
    ) -> None:
        """Args:
            oracle: Lance's own library.
            key: digest of what the pools depend on; an epoch of another key is not reused.
            scratch: a private directory for pools of one trial.
            phases: where the time of making an epoch is counted.
        """
        self._root, self._target, self._conductor = root, target, conductor
        self._oracle, self._key, self._scratch = oracle, key, scratch
        self._phases = phases
        self._epoch: Epoch | None = None

    @property
    def epoch(self) -> Epoch:
        """The current epoch; making a new one is a phase of its own."""
        if self._epoch is None:
            with self._phases()("pools"):
                self._epoch = get_current_epoch(
                    self._target, self._folder, self._key, self.maker, self.write_expected
                )
        return self._epoch

    @property
    def epoch_name(self) -> str:
        """Name of the epoch in use; empty if none was needed."""
        return self._epoch.name if self._epoch is not None else ""

    @property
    def facts(self) -> EpochFacts:
        """The epochs that the ledger must record."""
        ended = list_ended(self._folder)
        if self._epoch is None:
            return EpochFacts("", 0, ended)
        return EpochFacts(self._epoch.name, self._epoch.seed, ended)

    def forget_ended(self, facts: EpochFacts) -> None:
        """Remove the notes of these seeds, since the ledger holds them."""
        forget_ended(self._folder, facts.ended)

    def count_trial(self) -> None:
        """Count a trial on the epoch's pools; replace them first if the epoch is over."""
        if self._epoch is not None and self._epoch.over:
            self.release()
        self.epoch.count_trial()
        self._start_maker()

    def release(self) -> None:
        """Release the epoch; the next process may end it."""
        if self._epoch is not None:
            self._epoch.release()
            self._epoch = None

    def make_fresh(self) -> tuple[list[Pool], int]:
        """New secret pools at every combo's second size, and their seed (burnt afterwards)."""
        seed = draw_seed()
        return self._make_answered("fresh", seed, confirm=True), seed

    def make_distinct(self) -> list[Pool]:
        """New secret pools of few calls, no two alike in size, data or tables."""
        return self._make_answered("distinct", draw_seed(), distinct=True)

    @contextmanager
    def take_draw(self) -> Iterator[tuple[list[Pool], int]]:
        """A full draw of secret cases with Lance's outputs, and its seed; removed afterwards.

        It comes from the epoch's stock. If that is empty, this waits for the process that fills it,
        or makes the draw.
        """
        place = self._scratch / f"draw-{secrets.token_hex(4)}"
        with self._phases()("draw"):
            stock = Stock(self.epoch.directory)
            seed = stock.take(place)
            if seed is None:
                self._phases().say("waiting for the secret cases of this confirmation")
                seed = stock.wait(place, DRAW_WAIT_S)
            if seed is None:
                seed = self.make_draw(place)
            self._start_maker()
        try:
            yield list_draw(self._target, place, seed, DrawKind.FULL), seed
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def make_draw(
        self, place: Path, holding: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> int:
        """Write a full draw with Lance's outputs into a new directory; returns its seed.

        Args:
            holding: a context that is held during each step.
        """
        seed = draw_seed()
        pools = write_draw(
            self._target, place, seed, self.maker, DrawKind.FULL, holding=holding
        )  # fmt: skip
        for pool in pools:
            with holding():
                self.write_expected(pool)
        return seed

    @contextmanager
    def take_totals(self) -> Iterator[list[Pool]]:
        """The distinct inputs of every op with Lance's outputs; removed afterwards."""
        place = self._scratch / f"totals-{secrets.token_hex(4)}"
        with self._phases()("draw"):
            pools = write_totals(self._target, place, draw_seed(), self.maker)
            for pool in pools:
                self.write_expected(pool)
        try:
            yield pools
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _start_maker(self) -> None:
        """Let another process make the next full draws while this one works or waits."""
        Stock(self.epoch.directory).start_maker(self._root, self._target.name, self._key)

    def select_cases(self, tier: str, *, drawn: bool = True) -> list[Pool]:
        """All cases of a check; at lower tiers without the timed pools of very many calls.

        Those hold more of the same data as the checks (pools of up to a thousand chunks), and the
        conductor compares every timed slice anyway, at the tier that is timed.

        Args:
            drawn: with the epoch's drawn cases.
        """
        timed = [p for p in self.epoch.timed if tier == "native" or p.combo.calls <= MANY_CALLS]
        return [*self.epoch.checks, *(self.epoch.drawn if drawn else ()), *timed]

    @cached_property
    def maker(self) -> Maker | None:
        """The target's maker (a trusted program made of upstream's code), or None."""
        if not (self._root / "targets" / self._target.name / "maker.rs").is_file():
            return None
        program = compile_maker(self._root, self._target.name)
        return lambda request: subprocess.run(
            [program], input=request, stdout=subprocess.PIPE, check=True
        ).stdout

    def write_expected(self, pool: Pool) -> None:
        """Write Lance's outputs for a pool. Raises BuildFault if Lance's own code fails."""
        done = self._conductor.write_expected(self._oracle.so, pool.path, pool.expected)
        if done.fault is not None:
            raise BuildFault(
                f"Lance's own code failed on its inputs: {done.fault.kind} {done.fault.note or ''}",
                where=f"{self._target.name} {done.fault.combo}, call {done.fault.call}",
                next=f"./lar upstream show {self._target.name}",
            )

    @property
    def _folder(self) -> Path:
        return ensure_lar_dir(self._root, "epochs", self._target.name)

    def _make_answered(self, name: str, seed: int, **kind: bool) -> list[Pool]:
        timed = self._target.timed
        pools = make_pools(self._target, timed, self._scratch / name, seed, self.maker, **kind)
        for pool in pools:
            self.write_expected(pool)
        return pools
