"""How many steps make one percent: kernels with a delay of known share, found by measuring.

    dose = find_dose(rig, rig.champion_text)
    slow = dose.text({label: 0.03 for label in dose.unit})    # every combo 3 % slower
    plain = dose.text({})                                     # the same code, no delay
    dose.measured[label] / dose.asked                         # how right it came out: 0.8 to 1.2

The keys of a combo's calls come from a kernel that panics with them; the speed of the delay
loop from comparing `plain` with a kernel delayed by `ASKED`, large enough to be measured in a
dozen pairs. A small delay is not quite its share of a large one (leaving the loop costs a wrong
guess of the branch only where it ran for long), so one factor for all combos is measured at
`TRIM` in the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lance_autoresearch.errors import MachineError
from lance_autoresearch.evidence.build import build_kernel
from lance_autoresearch.judging.compare import times
from lance_autoresearch.judging.effects import Row, delayed, key_of, probed
from lance_autoresearch.judging.rig import Rig
from lance_autoresearch.records import Comparison
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.estimator import call_ns, samples

ASKED = 0.08
"""Delay that is measured to find the loop's speed, as a share of the call."""
NS_PER_STEP = 1.3
"""First guess; corrected by measuring."""
ROUNDS = 3
"""How often the response to a delay is measured; its median counts, since a busy neighbour
slows a kernel but not the delay loop."""
TRIM = 0.02
"""A delay of about the size that is injected. From twice as many pairs the mean of all combos is
right to 5 % of itself (fsst without it: +1.3 % came out where 1.5 was asked)."""
TRIM_LIMITS = (0.7, 1.4)
"""More than this is no curvature but a disturbed machine."""
CLOSE = 0.2
"""A combo is right when what was measured is within this share of what was asked."""


@dataclass(frozen=True, slots=True)
class Dose:
    """Keys of all combos, and the steps that double a call's time."""

    base: bytes
    ops: Mapping[str, str]
    """Combo label -> op."""
    rows: Mapping[str, Row]
    """Combo label -> its key; `steps` are those of a delay of 100 %."""
    measured: Mapping[str, float]
    """What a delay of `asked` came out as, by combo."""
    pairs: int = 0
    asked: float = ASKED

    @property
    def off(self) -> dict[str, float]:
        """Combos whose delay is not right to a fifth of itself, with measured / asked."""
        shares = {label: m / self.asked for label, m in self.measured.items()}
        return {label: s for label, s in shares.items() if abs(s - 1) > CLOSE}

    def text(self, shares: Mapping[str, float]) -> bytes:
        """The base kernel, each combo slower by its share (0.03: 3 %); a missing one by 0."""
        table: dict[str, list[Row]] = {}
        for label, row in self.rows.items():
            dosed = replace(row, steps=row.steps * shares.get(label, 0.0))
            table.setdefault(self.ops[label], []).append(dosed)
        return delayed(self.base, table)


def find_dose(rig: Rig, base: bytes, pairs: int = 12) -> Dose:
    """Measure how long the delay loop must run for each combo.

    Raises:
        MachineError: so many pairs were void that nothing was learnt.
    """
    ops = {combo.label: combo.op for combo in rig.combos}
    dose = _guessed(rig, Dose(base, ops, _keys(rig, base, ops), {}, pairs))
    answers: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        seen = _measured(rig, dose)
        answers.append({k: max(0.05 * dose.asked, m) / dose.rows[k].steps for k, m in seen.items()})
        rows = {
            label: replace(row, steps=dose.asked / stats.median([a[label] for a in answers]))
            for label, row in dose.rows.items()
        }
        dose = replace(dose, rows=rows)
    last = answers[-1]
    dose = replace(dose, measured={k: row.steps * last[k] for k, row in dose.rows.items()})
    return _trimmed(rig, dose)


def _trimmed(rig: Rig, dose: Dose) -> Dose:
    """All steps multiplied by one factor, so that a delay of `TRIM` comes out right on average."""
    small = _measured(rig, replace(dose, asked=TRIM, pairs=2 * dose.pairs))
    found = stats.mean(list(small.values())) / TRIM
    least, most = TRIM_LIMITS
    factor = 1 / min(max(found, 1 / most), 1 / least)
    rows = {label: replace(row, steps=row.steps * factor) for label, row in dose.rows.items()}
    return replace(dose, rows=rows)


def _keys(rig: Rig, base: bytes, ops: Mapping[str, str]) -> dict[str, Row]:
    """One call of every combo, as the kernel sees it."""
    probe = probed(base, list(dict.fromkeys(ops.values())))
    library = build_kernel(rig.root, rig.target.name, probe)
    rows = {}
    for label, pool in zip(ops, rig.epoch.timed, strict=True):
        fault = rig.check(library.so, "native", [pool]).fault
        if fault is None or fault.note is None:
            raise MachineError("a probed kernel said nothing", where=label, next="./lar doctor")
        key, size = key_of(fault.note)
        rows[label] = Row(key, size, 0.0)
    return rows


def _guessed(rig: Rig, dose: Dose) -> Dose:
    """Steps from the time of a call of the plain kernel."""
    seen = _compared(rig, dose, dose.text({}), pairs=2)
    rows = {
        label: replace(row, steps=call_ns(seen, i)[0] / NS_PER_STEP)
        for i, (label, row) in enumerate(dose.rows.items())
    }
    return replace(dose, rows=rows)


def _measured(rig: Rig, dose: Dose) -> dict[str, float]:
    """Slowdown of every combo under a delay of `asked`, as a share of its time."""
    slow = dose.text(dict.fromkeys(dose.rows, dose.asked))
    data = samples(_compared(rig, dose, slow, dose.pairs), rig.policy)
    medians = (stats.median(combo.values) for combo in data.combos)
    return {label: math.expm1(-m) for label, m in zip(dose.rows, medians, strict=True)}


def _compared(rig: Rig, dose: Dose, slow: bytes, pairs: int) -> Comparison:
    name = rig.target.name
    plain = build_kernel(rig.root, name, dose.text({}))
    other = build_kernel(rig.root, name, slow)
    with rig.measuring():
        found = [times(rig, rig.pair(plain.so, other.so, rig.epoch.timed)) for _ in range(pairs)]
    comparison = rig.comparison(found, floored=False)
    if all(p.void for p in found):
        raise MachineError(
            "every pair of the dose's measuring was void: the machine is too busy",
            next="./lar doctor",
        )
    return comparison
