"""From a judged trial to the row of the ledger, with its author's description.

    record = make_record(judged, Story(hypothesis="..."), target)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lance_autoresearch.build.link import SHUFFLED
from lance_autoresearch.judge.job import JudgedTrial
from lance_autoresearch.ledger.pairs_json import encode_trial
from lance_autoresearch.records import ReasonKind, RewriteStep, TrialRecord
from lance_autoresearch.targets.spec import Target
from lance_autoresearch.text.fault_text import describe_fault
from lance_autoresearch.text.reasons import describe_reason
from lance_autoresearch.text.verdict_text import record_to_json


@dataclass(frozen=True, slots=True)
class Story:
    """The author's description of a trial, beside the measurement."""

    hypothesis: str = ""
    agent: str = "hand"
    kind: str = "trial"
    campaign: str | None = None
    parent: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    predicted: float | None = None
    """Gain in % that its author expects; scored by the report, never used to decide. A value that
    is no number of percent counts as none."""
    made_from: str = ""
    """sha256 of the champion that its author began with; empty: not known."""
    rewrites: tuple[RewriteStep, ...] = ()
    """The mechanical rewrites that made the kernel."""
    layout: int | None = None
    """Judge the candidate linked in this layout instead of its own..."""
    order: str = SHUFFLED
    """...its objects in this order (`link.ORDERS`)."""


@dataclass(frozen=True, slots=True)
class FinishedTrial:
    """A recorded trial."""

    number: int
    record: TrialRecord
    remembered: bool = False
    """Answered from the ledger: nothing was measured, no row was written."""

    def as_json(self) -> dict[str, object]:
        """The row with its number, for `--json`."""
        return {"v": 1, "trial": self.number, "remembered": self.remembered,
                **record_to_json(self.record)}


def make_record(judged: JudgedTrial, story: Story, target: Target) -> TrialRecord:
    """The row of a judged trial."""
    gain, low, high = _find_gain(judged)
    return TrialRecord(
        target=target.name,
        verdict=judged.verdict,
        reason=describe_end(judged, target),
        kernel=judged.kernel_digest,
        champion=judged.champion_digest,
        hypothesis=story.hypothesis,
        campaign=story.campaign,
        parent=story.parent,
        agent=story.agent,
        kind=story.kind,
        gain=gain,
        low=low,
        high=high,
        results=replace(
            judged.results, predicted=_keep_number(story.predicted),
            made_from="" if story.made_from == judged.champion_digest else story.made_from,
            rewrites=story.rewrites,
        ),
        phases=judged.phases,
        immutable=judged.provenance,
        machine=judged.host,
        toolchain=judged.toolchain,
        epoch=judged.epochs.name if judged.epochs is not None else "",
        burnt_seeds=judged.burnt_seeds,
        tokens=story.tokens,
        cost_usd=story.cost_usd,
    )


def describe_end(judged: JudgedTrial, target: Target) -> str:
    """Why a trial ended so, in one line."""
    if judged.reason.kind is ReasonKind.FAULT and judged.fault is not None:
        return describe_fault(target, judged.fault)
    return describe_reason(judged.reason)


def _find_gain(judged: JudgedTrial) -> tuple[float | None, float | None, float | None]:
    """Gain over all combos: confirmed if there is one, else the screening's.

    A claim about one op stands in the results; here every row means the same thing.
    """
    stage = judged.results.measured
    if stage is None:
        return None, None, None
    whole = stage.components[0]
    return whole.gain, _drop_infinite(whole.low), _drop_infinite(whole.high)


def _keep_number(predicted: float | None) -> float | None:
    """An agent's guess, or None if it is no gain."""
    sound = predicted is not None and math.isfinite(predicted) and predicted >= -100.0
    return predicted if sound else None


def _drop_infinite(end: float) -> float | None:
    """An end of an interval, None if few pairs leave it open."""
    return end if math.isfinite(end) else None


def encode_pairs(judged: JudgedTrial) -> bytes | None:
    """The raw pairs as the ledger keeps them; None if nothing was measured."""
    if judged.pairs is None:
        return None
    return encode_trial(judged.pairs, judged.policy).encode()
