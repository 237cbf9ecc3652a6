"""After a keep: is Lance itself faster with it? `lar loop --integrate`.

    measure = prepare_queries(root, "hamming")              # MachineError if Lance is not set up
    done = follow_keep(ledger, campaign, done, text, before, measure)

A kernel that makes whole queries slower, or answers one otherwise, is demoted: a row of its own
moves the champion back. Any other outcome is a row beside the keep; one that shows nothing leaves
the keep, marked as not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.recording import FinishedTrial
from lance_autoresearch.errors import LarError
from lance_autoresearch.integrate.class_report import IntegrationReport
from lance_autoresearch.integrate.classes import load_classes
from lance_autoresearch.integrate.report import describe_effect, format_gain
from lance_autoresearch.integrate.state import require_ready
from lance_autoresearch.integrate.verdict import Question, integrate_kernel
from lance_autoresearch.integrate.workspace import FULL, describe_workspace
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.ledger import Ledger, Row
from lance_autoresearch.ledger.demotions import demote
from lance_autoresearch.records import (
    ClassEffect,
    Effect,
    Reason,
    ReasonKind,
    Results,
    TrialRecord,
    Verdict,
)
from lance_autoresearch.records.kind import QUERIES

MeasureQueries = Callable[[bytes], IntegrationReport]
"""Text of a kernel -> what whole queries show of it."""
HARMFUL = (Effect.SLOWER, Effect.DIFFERS, Effect.FAILED)
"""Effects that take a keep back."""
CONCLUSIVE = (Effect.FASTER, Effect.NO_CHANGE)


def prepare_queries(
    root: Path, target: str, say: Callable[[str], None], program: str = FULL
) -> MeasureQueries:
    """How to measure the target's main query class.

    Raises:
        UsageError: the target names no query class.
        MachineError: `lar integrate setup` is not finished.
    """
    space = describe_workspace(root, program)
    plan = load_classes(root, target, program)
    require_ready(space, ())

    def measure(text: bytes) -> IntegrationReport:
        return integrate_kernel(Question(space, {target: text}, (plan.main,)), say)

    return measure


def follow_keep(
    ledger: Ledger, campaign: Campaign, done: FinishedTrial, text: bytes, before: bytes,
    measure: MeasureQueries,
) -> FinishedTrial:  # fmt: skip
    """Measure a keep in whole queries and record the outcome; the trial as it stands then.

    Its verdict is no keep if it was demoted; `before` is the campaign's champion again.

    Args:
        done: the keep.
        text: its kernel, which is the champion now.
        before: the champion before it.
    """
    keep = ledger.get_trial(done.number)
    try:
        report = measure(text)
    except LarError as error:
        reason = Reason(ReasonKind.MACHINE, detail=f"whole queries: {error.what}")
        ledger.append(_make_row(keep.record, Verdict.INCONCLUSIVE, reason))
        return done
    effects = [one.effect for one in report.classes]
    harmful = next((effect for effect in effects if effect.effect in HARMFUL), None)
    if harmful is None:
        shown = any(effect.effect in CONCLUSIVE for effect in effects)
        verdict = Verdict.KEEP if shown else Verdict.INCONCLUSIVE
        reason = Reason(ReasonKind.QUERIES, detail=_describe_effects(effects))
        ledger.append(_make_row(keep.record, verdict, reason))
        return done
    return _demote(ledger, campaign, done, keep, before, harmful)


def _demote(
    ledger: Ledger, campaign: Campaign, done: FinishedTrial, keep: Row, before: bytes,
    harmful: ClassEffect,
) -> FinishedTrial:  # fmt: skip
    """Move the champion back; the keep as a trial that was not kept."""
    reason = Reason(
        ReasonKind.DEMOTED, harmful.name, harmful.gain, harmful.high,
        detail=f"demoted: whole queries of {_describe_effects([harmful])}",
    )  # fmt: skip
    row = _make_row(keep.record, Verdict.REVERT, reason)
    row = replace(row, kernel=hash_text(before), champion=keep.record.kernel)
    number = campaign.demote(row, before, judged=keep.judged)
    return replace(done, record=demote(keep, ledger.get_trial(number)).record)


def _describe_effects(effects: list[ClassEffect]) -> str:
    return "; ".join(_describe_effect(effect) for effect in effects)


def _describe_effect(effect: ClassEffect) -> str:
    """`pq128-n16 -3.1 % (-4.0 to -2.2), slower`."""
    figure = f" {format_gain(effect)}" if effect.pairs else ""
    return f"{effect.name}{figure}, {describe_effect(effect)}"


def _make_row(keep: TrialRecord, verdict: Verdict, reason: Reason) -> TrialRecord:
    """A row about a keep, with its author and its machine."""
    return replace(
        keep, kind=QUERIES, verdict=verdict, reason=reason.detail, results=Results(reason=reason),
        gain=None, low=None, high=None, phases={}, epoch="", burnt_seeds=(), tokens=None,
        cost_usd=None, pairs_blob=None, stored=None,
    )  # fmt: skip
