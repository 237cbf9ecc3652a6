"""Measures how many steps make one percent, for kernels with a delay of known share.

    dose = find_dose(bench, champion_text, share=0.03, policy=policy)
    slow = dose.render_kernel({label: 0.03 for label in dose.rows})  # every combo 3 % slower
    plain = dose.render_kernel({})                            # the same code, no delay
    dose.measured[label] / ASKED                              # measured / asked: 0.8 to 1.2
    dose.came                                                 # measured size of such a delay

    keys   a kernel that panics with them, at each combo's first and second size
    loop   `plain` against a delay of `ASKED`, large enough to be measured in two dozen
    came   `plain` against a delay of the share that will be injected: as screening measures it,
           and as confirmation does, at second sizes in fresh layouts; corrected until it is right

A small delay is not its share of a large one: a part of it overlaps the call it follows. Of
1.5 % asked, one target had 1.4 % in screening and 1.2 % in confirmation.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import Sides, gather_pairs
from lance_autoresearch.bench.pools import Pool
from lance_autoresearch.build.builder import relink_many
from lance_autoresearch.calibration.effects import DelayRow, insert_delays, insert_probes, parse_key
from lance_autoresearch.errors import MachineError
from lance_autoresearch.records import Comparison
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.estimator import Samples, compute_samples
from lance_autoresearch.rules.policy import Policy

ASKED = 0.08
"""The delay, as a share of the call, with which the loop's speed is measured."""
NS_PER_STEP = 1.3
"""First guess; corrected by measuring."""
ROUNDS = 3
"""How often the response to a delay is measured; its median counts, since a busy neighbour
slows a kernel but not the delay loop."""
TRIMS = 4
"""How often a small delay is measured, and corrected if it is not near."""
TRIM_PAIRS = 3
"""Times as many pairs as for the loop, at most: the mean of all combos is then known to 0.1 %
if a pair spreads as planned."""
NEAR = 0.1
"""A small delay is right if its measured size is within this share of it."""
TRIM_STEP = 0.75
"""Share of a correction that is applied. The overlapping part is a length, not a share, so a
delay that is made half as long again becomes twice as long."""
TRIM_LIMITS = (0.5, 2.0)
"""A larger correction comes from a disturbed machine, not from an overlap."""
CLOSE = 0.2
"""A combo is right if its measured delay is within this share of the requested one."""

Rows = Mapping[str, DelayRow]
"""Combo label -> its key; `steps` are those of a delay of 100 %."""


@dataclass(frozen=True, slots=True)
class Dose:
    """Keys of all combos, and the steps that double a call's time."""

    base: bytes
    ops: Mapping[str, str]
    """Combo label -> op."""
    rows: Rows
    """At the first size, which screening measures."""
    second: Rows
    """At the second size, which confirmation measures."""
    measured: Mapping[str, float]
    """The measured size of a delay of `ASKED`, by combo."""
    came: tuple[float, float] = (0.0, 0.0)
    """The measured size of the requested delay, all combos: in screening, in confirmation."""

    @property
    def off(self) -> dict[str, float]:
        """Combos whose delay is off by more than a fifth, with measured / asked."""
        shares = {label: m / ASKED for label, m in self.measured.items()}
        return {label: s for label, s in shares.items() if abs(s - 1) > CLOSE}

    def is_near(self, share: float) -> bool:
        """Whether both stages measure a delay of this share to within a tenth."""
        return all(abs(came / share - 1.0) <= NEAR for came in self.came)

    def render_kernel(self, shares: Mapping[str, float]) -> bytes:
        """The base kernel, each combo slower by its share (0.03: 3 %); a missing one by 0."""
        table: dict[str, list[DelayRow]] = {}
        for rows in (self.rows, self.second):
            for label, row in rows.items():
                dosed = replace(row, steps=row.steps * shares.get(label, 0.0))
                table.setdefault(self.ops[label], []).append(dosed)
        return insert_delays(self.base, table)


def find_dose(
    bench: Bench, base: bytes, share: float, policy: Policy, pairs: int = 24
) -> Dose:
    """Measure how long the delay loop must run for each combo.

    Args:
        share: the delay that will be injected, as a share of a call; 0.015 is 1.5 %.

    Raises:
        MachineError: too many pairs were void to compute a delay.
    """
    first, second = bench.inputs.epoch.timed, bench.inputs.make_fresh()[0]
    dose = guess_dose(bench, base, second)
    ops = dose.ops
    answers: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        data = _measure_response(bench, dose, ASKED, pairs, first, policy)
        seen = {
            label: _convert_gain(stats.median(combo.values))
            for label, combo in zip(ops, data.combos, strict=True)
        }
        answers.append({k: max(0.05 * ASKED, m) / dose.rows[k].steps for k, m in seen.items()})
        dose = _set_steps(
            dose, {k: ASKED / stats.median([answer[k] for answer in answers]) for k in ops}
        )
    last = answers[-1]
    dose = replace(dose, measured={k: row.steps * last[k] for k, row in dose.rows.items()})
    enough = math.ceil((policy.planned_sd / (0.5 * NEAR * share)) ** 2)
    return _trim_dose(bench, dose, share, min(TRIM_PAIRS * pairs, enough), second, policy)


def guess_dose(bench: Bench, base: bytes, second: Sequence[Pool]) -> Dose:
    """Steps that about double each call's time, guessed from one run of every call.

    This is enough if a delay must exist and its size does not matter. It measures no pair, so a
    busy machine does not stop it.

    Args:
        second: pools at every combo's second size.

    Raises:
        MachineError: the kernel failed on Lance's inputs.
    """
    ops = {combo.label: combo.op for combo in bench.combos}
    timed = bench.inputs.epoch.timed
    one, two = (_probe_keys(bench, base, ops, pools) for pools in (timed, second))
    dose = Dose(base, ops, one, two, {})
    plain = bench.build(dose.render_kernel({})).so
    spent = {label: _call_ns(bench, plain, pool) for label, pool in zip(ops, timed, strict=True)}
    return _set_steps(dose, {label: ns / NS_PER_STEP for label, ns in spent.items()})


def _call_ns(bench: Bench, library: Path, pool: Pool) -> float:
    """Median time of a pool's calls, each run once, in ns."""
    ran = bench.conductor.write_expected(library, pool.path, bench.scratch / "guess.expected")
    if ran.fault is not None:
        raise MachineError(f"a kernel to be delayed failed: {ran.fault.kind}", where=pool.path.name)
    return stats.median(list(ran.ns_per_call))


def _set_steps(dose: Dose, steps: Mapping[str, float]) -> Dose:
    """Steps of calls of the first size; of the second as many for its size."""
    rows = {label: replace(row, steps=steps[label]) for label, row in dose.rows.items()}
    second = {
        label: replace(row, steps=steps[label] * row.size / rows[label].size)
        for label, row in dose.second.items()
    }
    return replace(dose, rows=rows, second=second)


def _trim_dose(
    bench: Bench, dose: Dose, share: float, pairs: int, second: Sequence[Pool], policy: Policy
) -> Dose:
    """Steps such that a delay of `share` is right in the mean of all combos."""
    for last in (*[False] * (TRIMS - 1), True):
        seen = (
            _measure_response(bench, dose, share, pairs, bench.inputs.epoch.timed, policy),
            _measure_response(
                bench, dose, share, pairs, second, policy, layouts=policy.confirm_pairs
            ),
        )
        one, two = (_convert_gain(data.components[0].mean) for data in seen)
        dose = replace(dose, came=(one, two))
        if last or dose.is_near(share):
            break
        dose = replace(
            dose,
            rows=_lengthen_steps(dose.rows, one / share),
            second=_lengthen_steps(dose.second, two / share),
        )
    return dose


def _lengthen_steps(rows: Rows, found: float) -> dict[str, DelayRow]:
    """Steps for delays that came to `found` times what they should."""
    least, most = TRIM_LIMITS
    factor = 1.0 + TRIM_STEP * (1 / min(max(found, 1 / most), 1 / least) - 1.0)
    return {label: replace(row, steps=row.steps * factor) for label, row in rows.items()}


def _convert_gain(gain: float) -> float:
    """ln(plain / delayed) as a share by which a call is longer."""
    return math.expm1(-gain)


def _probe_keys(
    bench: Bench, base: bytes, ops: Mapping[str, str], pools: Sequence[Pool]
) -> dict[str, DelayRow]:
    """One call of every combo, as the kernel sees it."""
    probe = insert_probes(base, list(dict.fromkeys(ops.values())))
    library = bench.build(probe)
    rows = {}
    for label, pool in zip(ops, pools, strict=True):
        fault = bench.check_library(library.so, "native", [pool]).fault
        if fault is None or fault.note is None:
            raise MachineError("a probed kernel said nothing", where=label, next="./lar doctor")
        key, size = parse_key(fault.note)
        rows[label] = DelayRow(key, size, 0.0)
    return rows


def _measure_response(
    bench: Bench, dose: Dose, share: float, pairs: int, pools: Sequence[Pool], policy: Policy,
    layouts: int = 0,
) -> Samples:  # fmt: skip
    """Measure plain against delayed by a share; with `layouts`, in that number of fresh ones."""
    texts = dose.render_kernel({}), dose.render_kernel(dict.fromkeys(dose.rows, share))
    plain, slow = (bench.build(text) for text in texts)
    sides = [Sides(plain.so, slow.so)]
    if layouts:
        seeds = [secrets.randbits(32) for _ in range(2 * layouts)]
        linked = relink_many(plain, seeds[:layouts]), relink_many(slow, seeds[layouts:])
        sides = [Sides(*both) for both in zip(*linked, strict=True)]
    pairs = max(pairs, layouts)
    in_turn = [sides[i % len(sides)] for i in range(pairs)]
    return compute_samples(_compare_sides(bench, in_turn, pools, policy), policy)


def _compare_sides(
    bench: Bench, sides: Sequence[Sides], pools: Sequence[Pool], policy: Policy
) -> Comparison:
    meter = bench.make_meter(sides, pools, policy)
    with bench.hold_machine():
        found = [meter.measure_pair() for _ in sides]
    comparison = gather_pairs(meter, found)
    if all(p.void for p in found):
        raise MachineError(
            "every pair of the dose's measuring was void: the machine is too busy",
            next="./lar doctor",
        )
    return comparison
