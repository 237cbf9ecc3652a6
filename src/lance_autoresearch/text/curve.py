"""Best so far, trial by trial: the numbers behind progress.png and the report's chart.

    line, dots = compute_curve([r.record for r in rows])
    line        # [1.0, 1.25, 1.25, 1.40]    speed of the champion after each trial
    dots        # [0.97, 1.25, None, 1.40]   each trial's own speed; None: not measured

Speed is a factor against the campaign's starting kernel, over all combos (op by op, then combo by
combo, as the gate weighs them). It multiplies kept gains, so it guides the eye; what may be
quoted is the figure that `lar bench` measures in one step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from lance_autoresearch.records import TrialRecord, Verdict

LOG_FROM = 2.5
"""A campaign that spans more than this factor is drawn on a logarithmic axis..."""
FLOOR = 0.4
"""...and a slower trial is drawn at this height: the steps of the kept trials matter more than
the depth of a failure."""
_STEPS = (1.0, 2.0, 5.0)
_FINE = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
_COARSE = (1.0, 2.0, 5.0)


class Curve(NamedTuple):
    """One value per trial, oldest first."""

    line: list[float]
    """The champion's speed after the trial."""
    dots: list[float | None]
    """The trial's own speed, None if nothing was measured."""


class Scale(NamedTuple):
    """The vertical axis."""

    low: float
    high: float
    log: bool
    ticks: list[float]

    def compute_height(self, speed: float) -> float:
        """0 at the bottom, 1 at the top; what lies outside is moved to the edge."""
        inside = min(self.high, max(self.low, speed))
        if self.log:
            return math.log(inside / self.low) / math.log(self.high / self.low)
        return (inside - self.low) / (self.high - self.low)


def find_overall_gain(record: TrialRecord) -> float | None:
    """Gain over all combos in %: the confirmation's, else the screening's; None: not measured.

    `record.gain` may be the gain of one op, if that is what the keep claims.
    """
    stage = record.results.confirmation or record.results.screening
    if stage is None:
        return record.gain
    if not stage.pairs:
        return None
    whole = (part.gain for part in stage.components if part.name == "all")
    return next(whole, record.gain)


def compute_factor(gain: float) -> float:
    """Speed of a gain in %: time ratio champion / candidate, 25 % -> 1.25."""
    return 1.0 + gain / 100.0


def compute_curve(trials: Sequence[TrialRecord]) -> Curve:
    """The curve of a campaign's trials; a trial's own speed is the best so far times its gain."""
    best = 1.0
    curve = Curve([], [])
    for trial in trials:
        gain = find_overall_gain(trial)
        own = None if gain is None or not math.isfinite(gain) else best * compute_factor(gain)
        if trial.verdict is Verdict.KEEP and own is not None:
            best = own
        curve.dots.append(own)
        curve.line.append(best)
    return curve


def choose_scale(curve: Curve) -> Scale:
    """An axis that shows all of the line, and the dots down to `FLOOR`."""
    seen = [1.0, *curve.line, *(max(FLOOR, dot) for dot in curve.dots if dot is not None)]
    low, high = min(seen), max(seen)
    if high / low > LOG_FROM:
        low, high = low / 1.08, high * 1.12
        return Scale(low, high, True, _place_log_ticks(low, high))
    room = max(0.02, high - low)
    low, high = low - 0.08 * room, high + 0.14 * room
    return Scale(low, high, False, _place_even_ticks(low, high))


def _place_even_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((s * power for s in _STEPS if s * power >= rough), 10 * power)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)]


def _place_log_ticks(low: float, high: float) -> list[float]:
    marks = _FINE if high / low < 12 else _COARSE
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10.0**p for p in powers for m in marks if low <= m * 10.0**p <= high]
