"""Which kind of rewrite comes next: a small bandit over what paid before.

    arms = count_arms(rows, cpu_kind)          from the ledger: trials and keeps of each kind
    draw_arm(arms, available, rng)             Thompson's rule: one draw from each posterior

An arm is a kind, or `combined` for candidates of several rewrites. Its share of keeps has a Beta
posterior that begins uniform, so an arm without a trial is tried soon and one that fails often
becomes rare and never stops.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lance_autoresearch.records import TrialRecord, Verdict

COMBINED = "combined"
"""The arm of candidates that consist of several rewrites."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What became of one arm's candidates."""

    trials: int = 0
    kept: int = 0


def name_arm(record: TrialRecord) -> str:
    """The arm that a trial of a rewrite belongs to."""
    steps = record.results.rewrites
    return COMBINED if len(steps) > 1 else steps[0].kind


def count_arms(records: Iterable[TrialRecord], cpu_kind: str) -> Mapping[str, Arm]:
    """Decided trials of rewrites on one CPU kind, by arm."""
    found: dict[str, Arm] = {}
    for record in records:
        elsewhere = record.machine.get("cpu_kind") != cpu_kind
        if not record.results.rewrites or elsewhere or record.verdict is Verdict.INCONCLUSIVE:
            continue
        name = name_arm(record)
        arm = found.get(name, Arm())
        found[name] = Arm(arm.trials + 1, arm.kept + (record.verdict is Verdict.KEEP))
    return found


def draw_arm(
    arms: Mapping[str, Arm], available: Collection[str], rng: random.Random
) -> str:
    """One of the available arms, by a draw from the posterior of each."""
    def draw(name: str) -> float:
        arm = arms.get(name, Arm())
        return rng.betavariate(1 + arm.kept, 1 + arm.trials - arm.kept)

    return max(sorted(available), key=draw)
