"""Advice from the last trials: refine, change the idea, stop. A pure function of the history.

    advise(history)     # [Hint("pivot", "5 trials without a keep: leave this idea ...")]

An agent that is stuck repeats itself; a hint is cheaper than another ten trials. Hints only
advise: the loop ends on its own budget, and the verdict never uses them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lance_autoresearch.records import TrialRecord, Verdict
from lance_autoresearch.text.curve import find_overall_gain

SHOWN = 3
"""Combos named at once."""


@dataclass(frozen=True, slots=True)
class HintThresholds:
    """After how many misses in a row what is advised."""

    refine: int = 3
    pivot: int = 5
    plateau: int = 15
    same: int = 3
    """This number of wrong or refused kernels in a row gets a hint of its own."""


PATIENCE = HintThresholds()


@dataclass(frozen=True, slots=True)
class Hint:
    """One piece of advice."""

    kind: str
    """refine, pivot, plateau, wrong, refused, near or worst."""
    text: str


def list_misses(history: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials since the last keep that said something about their idea, oldest first."""
    since: list[TrialRecord] = []
    for trial in reversed(history):
        if trial.verdict is Verdict.KEEP:
            break
        if trial.verdict is not Verdict.INCONCLUSIVE:
            since.append(trial)
    return since[::-1]


def advise(history: Sequence[TrialRecord], patience: HintThresholds = PATIENCE) -> list[Hint]:
    """Hints for the author of the next kernel; empty while trials go well.

    Args:
        history: the campaign's trials, oldest first.
    """
    since = list_misses(history)
    stuck = _advise_when_stuck(since, patience)
    found = [stuck] if stuck else []
    found += _advise_on_repeats(since, patience)
    if stuck:
        found += _advise_on_near_miss(since) + _advise_on_worst_combos(since)
    return found


def _advise_when_stuck(since: Sequence[TrialRecord], patience: HintThresholds) -> Hint | None:
    count = len(since)
    if count >= patience.plateau:
        return Hint(
            "plateau",
            f"{count} trials without a keep: a plateau. Stop here, or begin again from another "
            "kernel or another target.",
        )
    if count >= patience.pivot:
        return Hint(
            "pivot",
            f"{count} trials without a keep: leave this idea. Take another part of the kernel, "
            "another data layout or another algorithm.",
        )
    if count >= patience.refine:
        return Hint(
            "refine",
            f"{count} trials without a keep: refine. Go back to the one that came nearest, change "
            "one thing, and say which cost it removes.",
        )
    return None


def _advise_on_repeats(since: Sequence[TrialRecord], patience: HintThresholds) -> list[Hint]:
    last = since[-patience.same :]
    if len(last) < patience.same:
        return []
    if all(trial.verdict is Verdict.INCORRECT for trial in last):
        text = "wrong outputs each time: first make a small change that is right, then a fast one."
        return [Hint("wrong", text)]
    if all(trial.verdict is Verdict.REJECTED for trial in last):
        text = "refused each time: read the rules of the kernel in HARNESS.md before the next one."
        return [Hint("refused", text)]
    return []


def _advise_on_near_miss(since: Sequence[TrialRecord]) -> list[Hint]:
    """The miss that gained most over all combos, if one gained."""
    gains = [(find_overall_gain(trial) or 0.0, i) for i, trial in enumerate(since)]
    gain, place = max(gains, default=(0.0, 0))
    if gain <= 0.0:
        return []
    back = len(since) - 1 - place
    where = "the last trial" if back == 0 else f"{back + 1} trials ago"
    return [Hint("near", f"nearest: {where}, {gain:+.2f}% over all combos and still not kept.")]


def _advise_on_worst_combos(since: Sequence[TrialRecord]) -> list[Hint]:
    """The combos that lost most often: what the next idea must not pay with."""
    losses = Counter(name for trial in since for name in list_losing_combos(trial))
    often = [name for name, count in losses.most_common(SHOWN) if count >= 2]
    return [Hint("worst", f"lost again and again: {', '.join(often)}.")] if often else []


def list_losing_combos(trial: TrialRecord) -> list[str]:
    """Labels of the combos whose whole interval lies below zero."""
    stage = trial.results.confirmation or trial.results.screening
    combos = stage.combos if stage is not None else ()
    return [row.combo.label for row in combos if row.high < 0.0]
