"""The smallest change that holds a trial's gain, found by real trials.

    for step in run_ablation(coordinator, ablation, AblationBudget(trials=40), show):
        step.part, step.held

The kernel of a trial is judged again against the same base; then one part after the other
(`ablation_parts`) is left out, and the rest is judged by the ordinary judge against that base. What
holds the gain takes the kernel's place. The order follows from the texts, so the rows of the ledger
(kind `ablate`, parent: the trial) are the whole state: after a kill the same walk finds its answers
there and goes on. A timed row counts in the error budget as every trial does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from lance_autoresearch.campaign.ablation_parts import Part, list_parts
from lance_autoresearch.campaign.coordinator import Coordinator, Story
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.ledger import Ledger, Row, hash_bytes
from lance_autoresearch.records import TrialRecord, Verdict
from lance_autoresearch.records.kind import ABLATION

HELD_SHARE = 0.9
"""A rest holds the gain if it is kept, and each component that the whole change improved keeps this
share of its gain. It decides no trial: the verdict is the judge's. A tenth is about what two
confirmed estimates of the same kernel differ by at a gain of 10 % (METHODOLOGY, Noise)."""
ATTEMPTS = 2
"""Trials of one text that may stay undecided; then it counts as not held."""
WHOLE = "the whole change"


@dataclass(frozen=True, slots=True)
class AblationBudget:
    """When to stop; what was found until then stands."""

    trials: int | None = None
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Ablation:
    """A change to make smaller."""

    trial: int
    """The trial whose kernel it is."""
    base: bytes
    """The kernel that it was compared with."""
    kernel: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """One part, with the trial of the rest."""

    part: Part | None
    """None: the whole change."""
    number: int
    record: TrialRecord
    held: bool
    remembered: bool
    """The row was there already."""


@dataclass(slots=True)
class AblationWalk:
    """Where an ablation stands."""

    text: bytes
    """The smallest kernel so far that holds the gain."""
    whole: TrialRecord | None = None
    """The trial of the whole change."""
    finished: bool = False
    """Every part was tried."""
    tried: set[bytes] = field(default_factory=set)


def load_ablation(ledger: Ledger, target: str, trial: int, lance: bytes | None) -> Ablation:
    """The change of a kept or measured trial.

    Args:
        lance: compare with this text, Lance's own, instead of the trial's champion.

    Raises:
        UsageError: another target's trial, or a text is gone.
    """
    record = ledger.get_trial(trial).record
    again = f"./lar log {record.target}"
    if record.target != target:
        raise UsageError(f"trial {trial} is of {record.target}",
                         next=f"./lar ablate {record.target} --trial {trial}")
    base = lance or ledger.find_blob(record.champion)
    kernel = ledger.find_blob(record.kernel)
    if base is None or kernel is None:
        gone = "champion" if base is None else "kernel"
        raise UsageError(f"the text of trial {trial}'s {gone} is gone (lar gc)", next=again)
    if base == kernel:
        raise UsageError(f"trial {trial} changed nothing", next=again)
    return Ablation(trial, base, kernel)


def list_ablation_rows(ledger: Ledger, target: str, trial: int, base: str) -> list[Row]:
    """Rows of a trial's ablation against a base (sha256), oldest first."""
    return [
        row for row in ledger.list_trials(target=target)
        if row.record.kind == ABLATION and row.record.parent == trial
        and row.record.champion == base
    ]  # fmt: skip


def run_ablation(
    coordinator: Coordinator, ablation: Ablation, budget: AblationBudget,
    show: Callable[[str], None], walk: AblationWalk,
) -> Iterator[Step]:  # fmt: skip
    """Leave out part after part; yields every step, those of earlier runs first.

    Args:
        walk: filled as it goes; `walk.text` is the result at every instant.

    Raises:
        UsageError: the whole change is not kept here, so there is no gain to hold.
        LarError: the machine, the ledger or trusted code failed; the rows so far stand.
    """
    known = _collect_rows(coordinator, ablation)
    end = None if budget.minutes is None else time.monotonic() + 60 * budget.minutes
    left = budget.trials
    for part in _walk_parts(ablation, walk):
        text = ablation.kernel if part is None else part.text
        rows = known.get(hash_bytes(text), [])
        while True:
            decided = next((r for r in rows if r.record.verdict is not Verdict.INCONCLUSIVE), None)
            if decided is not None or len(rows) >= ATTEMPTS:
                break
            if left == 0 or (end is not None and time.monotonic() >= end):
                return
            left = None if left is None else left - 1
            rows = [*rows, _judge_rest(coordinator, ablation.trial, part, text, show)]
        row = decided or rows[-1]
        yield _settle_step(walk, part, text, row, row in known.get(hash_bytes(text), []))
    walk.finished = True


def _walk_parts(ablation: Ablation, walk: AblationWalk) -> Iterator[Part | None]:
    """The whole change, then the parts of the smallest kernel so far that are not tried yet."""
    yield None
    while True:
        parts = list_parts(ablation.base, walk.text)
        part = next((part for part in parts if part.text not in walk.tried), None)
        if part is None:
            return
        walk.tried.add(part.text)
        yield part


def _collect_rows(coordinator: Coordinator, ablation: Ablation) -> dict[str, list[Row]]:
    """sha256 of a text -> its rows on this kind of processor under today's rules."""
    found: dict[str, list[Row]] = {}
    base, kind = hash_bytes(ablation.base), coordinator.bench.machine["cpu_kind"]
    rules = coordinator.ruleset
    rows = list_ablation_rows(coordinator.ledger, coordinator.target.name, ablation.trial, base)
    for row in rows:
        same = row.record.machine.get("cpu_kind") == kind
        if same and row.record.immutable.get("all") == rules:
            found.setdefault(row.record.kernel, []).append(row)
    return found


def _judge_rest(
    coordinator: Coordinator, trial: int, part: Part | None, text: bytes,
    show: Callable[[str], None],
) -> Row:  # fmt: skip
    about = WHOLE if part is None else f"without {part.kind} {part.name}"
    coordinator.begin_phases(Phases(show))
    done = coordinator.attempt(text, Story(about, agent="ablate", kind=ABLATION, parent=trial))
    return coordinator.ledger.get_trial(done.number)


def _settle_step(
    walk: AblationWalk, part: Part | None, text: bytes, row: Row, remembered: bool
) -> Step:
    if part is None:
        walk.whole = row.record
        if row.record.verdict is not Verdict.KEEP:
            raise UsageError(
                f"the whole change is not kept here: {row.record.verdict}, {row.record.reason}",
                where=f"trial {row.id}", next=f"./lar explain {row.record.target} --trial {row.id}",
            )
    assert walk.whole is not None
    held = holds_gain(walk.whole, row.record)
    if held:
        walk.text = text
    return Step(part, row.id, row.record, held, remembered)


def holds_gain(whole: TrialRecord, rest: TrialRecord) -> bool:
    """Whether a rest is kept and has `HELD_SHARE` of each component's gain."""
    all_of, some = whole.results.measured, rest.results.measured
    if rest.verdict is not Verdict.KEEP or all_of is None or some is None:
        return False
    found = {component.name: component.gain for component in some.components}
    return all(
        found.get(component.name, 0.0) >= HELD_SHARE * component.gain
        for component in all_of.components if component.low > 0.0
    )  # fmt: skip


def select_held(rows: Sequence[Row]) -> Row | None:
    """The last row of an ablation that holds the gain: its result. None: nothing was kept."""
    whole = rows[0].record if rows else None
    if whole is None or whole.verdict is not Verdict.KEEP:
        return None
    return next((row for row in reversed(rows) if holds_gain(whole, row.record)), rows[0])
