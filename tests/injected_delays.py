"""A gain that every processor sees: a champion with an injected delay, and the code without it.

    gain = injected_gain("pq-l2")
    gain.champion       # every op of Lance's own kernel, each call slower by about 40 %
    gain.candidate      # the same program without the delay: faster on any instruction set
    gain.with_knob(1)   # the delay multiplied by a knob, for agents that turn knobs

The delay is the one that `lar calibrate` injects, without its exact dosing: a test that wants a
keep needs a gain that is far above the noise, not one of a known size.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.calibration.dosing import Dose, guess_dose

ROOT = Path(__file__).resolve().parent.parent
SHARE = 0.4
"""Delay as a share of a call, guessed: 0.25 to 0.8 on processors of 2 to 5 GHz."""
CALL = b"let steps = lar_steps(core::hint::black_box(&ROWS), key, size, at);"


@dataclass(frozen=True, slots=True)
class InjectedGain:
    """Two kernels of the same answers and the same code but for a table of delays."""

    champion: bytes
    """The delayed one."""
    candidate: bytes
    """The same without a delay."""

    def with_knob(self, value: int) -> bytes:
        """The delayed kernel, its delay times `value`; 0, 1 and 3 may be chosen."""
        assert CALL in self.champion
        knob = b"\nconst DELAY: u64 = %d; // tune: 0 1 3\n" % value
        return self.champion.replace(CALL, CALL[:-1] + b" * DELAY;") + knob


def injected_gain(target: str) -> InjectedGain:
    """A delayed champion and its candidate, made from Lance's own kernel of a target."""
    dose = measured_dose(target)
    return InjectedGain(dose.render_kernel(dict.fromkeys(dose.rows, SHARE)), dose.render_kernel({}))


@functools.cache
def measured_dose(target: str) -> Dose:
    """Steps for each combo of a target, measured once a process."""
    with Bench(ROOT, target) as bench:
        return guess_dose(bench, bench.first_kernel, bench.inputs.make_fresh()[0])
