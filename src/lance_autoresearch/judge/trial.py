"""One trial: the bytes of one kernel in, one verdict out. The first verdict ends it.

    admit ─ build ─ audit ─ check ─ screen ─ confirm
    tokens  rustc   object  outputs pairs    fresh pools, fresh layouts
            boxed   symbols vs Lance vs champion

Nothing outside this module decides. It reads nothing of the agent's but the bytes it is given,
and writes nothing: recording, keeping and reverting are the caller's (`ledger`, `campaign`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lance_autoresearch.bench.conductor import audit as audit_object
from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.build.builder import Built, build_both, relink
from lance_autoresearch.build.link import SHUFFLED
from lance_autoresearch.errors import MachineError, RejectedKernel
from lance_autoresearch.judge.admission import admit, audit
from lance_autoresearch.judge.compare import Confirmed, Screened, confirm, screen
from lance_autoresearch.judge.early_verdict import Ended
from lance_autoresearch.judge.extensions import guarded
from lance_autoresearch.ledger.comparison_json import trial_to_json
from lance_autoresearch.records import Outcome, PairTimes, TrialRecord, Verdict
from lance_autoresearch.text.fault_text import fault_numbers, fault_text
from lance_autoresearch.text.verdict_text import (
    Facts,
    confirm_numbers,
    defence_numbers,
    gate_numbers,
    slices,
)


@dataclass(frozen=True, slots=True)
class Story:
    """What the row says beside the measurement."""

    hypothesis: str = ""
    agent: str = "hand"
    kind: str = "trial"
    campaign: str | None = None
    parent: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    predicted: float | None = None
    """Gain in % that its author expects; scored by the report, never used to decide."""
    layout: int | None = None
    """Judge the candidate linked in this layout (`build.relink`) instead of its own."""
    order: str = SHUFFLED
    """... its objects in this order (`link.ORDERS`)."""


@dataclass(slots=True)
class Evidence:
    """What the stages have found so far; filled from left to right."""

    built: Built | None = None
    text_bytes: int | None = None
    """Machine code in the kernel's object."""
    screened: Screened | None = None
    confirmed: Confirmed | None = None
    checked: int = 0
    """Calls compared with Lance before any timing."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A finished trial: the row for the ledger, and the evidence behind it."""

    record: TrialRecord
    evidence: Evidence

    @property
    def pairs_json(self) -> str | None:
        """The raw pairs, replayable by `lar gate`; None if nothing was measured."""
        if self.evidence.screened is None:
            return None
        screened = self.evidence.screened
        parts = [screened.comparison]
        if (confirmed := self.evidence.confirmed) is not None:
            parts += [confirmed.comparison, confirmed.licence, *confirmed.defences]
        return trial_to_json(parts, screened.policy, screened.before)


def run_trial(
    rig: Rig, text: bytes, story: Story, *, before: Sequence[PairTimes] = ()
) -> Judged:
    """Judge one kernel against the rig's champion.

    Args:
        text: the bytes of kernels.rs, as read once.
        before: pairs of an undecided earlier trial of the same kernel (`try --again`).
    """
    found = Evidence()
    try:
        admit_and_build(rig, text, found, story)
        refuse_the_champion_itself(rig, story, found)
        check(rig, found)
        compare_with_champion(rig, found, before)
        confirm_the_claim(rig, found)
        end = Ended(Verdict.KEEP, "confirmed on fresh inputs, sizes and layouts")
    except RejectedKernel as refusal:
        end = Ended(Verdict.REJECTED, str(refusal))
    except Ended as early:
        end = early
    except MachineError as failure:
        end = Ended(Verdict.INCONCLUSIVE, failure.what)
    return Judged(_record(rig, text, story, end, found), found)


def admit_and_build(
    rig: Rig, text: bytes, found: Evidence, story: Story | None = None
) -> None:
    """Tokens, rustc in its box, object file. Raises RejectedKernel with place and mend.

    The kernel is also compiled as for a processor without extensions: see `extensions`.
    """
    with rig.phases("admit"):
        admit(text)
    with rig.phases("build"):
        built, bare = build_both(rig.root, rig.target.name, text)
        if story is not None and story.layout is not None:
            built = replace(built, so=relink(built, story.layout, order=story.order))
        found.built = built
    with rig.phases("audit"):
        report = rig.audit_report(found.built)
        audit(report, text)
        guarded(audit_object(rig.root, bare))
        found.text_bytes = int(report["text_bytes"])


def refuse_the_champion_itself(rig: Rig, story: Story, found: Evidence) -> None:
    """The same program cannot be faster. Nulls of a calibration are measured all the same."""
    if story.kind == "trial" and _built(found).digest == rig.champion.digest:
        raise Ended(Verdict.REVERT, "the same program as the champion, nothing to measure")


def check(rig: Rig, found: Evidence) -> None:
    """Compare every case with Lance, at every tier. Raises Ended at the first fault."""
    rig.begin_trial()
    with rig.phases("check"):
        for tier in rig.target.tiers:
            result = rig.check(_built(found).so, tier)
            found.checked += result.calls
            if result.fault is not None:
                raise Ended.by_fault(fault_text(rig.target, result.fault, tier), result.fault)


def compare_with_champion(
    rig: Rig, found: Evidence, before: Sequence[PairTimes] = ()
) -> None:
    """Pairs until the gate decides. Raises Ended unless this might be a keep."""
    with rig.phases("compare"):
        found.screened = screen(rig, _built(found), before)
    result = found.screened.result
    if result.outcome is Outcome.INCONCLUSIVE:
        raise Ended(Verdict.INCONCLUSIVE, result.reason)
    if result.outcome is Outcome.REVERT:
        raise Ended(Verdict.REVERT, result.reason)


def confirm_the_claim(rig: Rig, found: Evidence) -> None:
    """The same claim on everything fresh. Raises Ended unless it stands."""
    assert found.screened is not None
    found.confirmed = confirm(rig, _built(found), found.screened)
    if found.confirmed.ended is not None:
        raise found.confirmed.ended
    result = found.confirmed.result
    if result.verdict is not Verdict.KEEP:
        raise Ended(result.verdict, f"not confirmed: {result.reason}")


def _built(found: Evidence) -> Built:
    assert found.built is not None
    return found.built


def _record(rig: Rig, text: bytes, story: Story, end: Ended, found: Evidence) -> TrialRecord:
    gain, low, high = _gain(found)
    return TrialRecord(
        target=rig.target.name,
        verdict=end.verdict,
        reason=end.reason,
        kernel=hashlib.sha256(text).hexdigest(),
        champion=hashlib.sha256(rig.champion_text).hexdigest(),
        hypothesis=story.hypothesis,
        campaign=story.campaign,
        parent=story.parent,
        agent=story.agent,
        kind=story.kind,
        gain=gain,
        low=low,
        high=high,
        numbers=_numbers(rig, story, end, found),
        phases=rig.phases.total(),
        immutable=rig.immutable,
        machine=rig.machine,
        toolchain=rig.toolchain,
        epoch=rig.epoch.name if rig.has_epoch else "",
        burnt_seeds=(found.confirmed.seed,) if found.confirmed else (),
        tokens=story.tokens,
        cost_usd=story.cost_usd,
    )


def _gain(found: Evidence) -> tuple[float | None, float | None, float | None]:
    """Gain over all combos: confirmed where there is one, else the screening's.

    A claim about one op stands in `numbers`; here every row means the same thing.
    """
    if found.confirmed is not None:
        whole = found.confirmed.result.components[0]
        return whole.gain, _known(whole.low), _known(whole.high)
    if found.screened is not None and found.screened.result.pairs > 0:
        overall = found.screened.result.components[0]
        return overall.gain, _known(overall.low), _known(overall.high)
    return None, None, None


def _known(end: float) -> float | None:
    """An end of an interval, None where few pairs leave it open."""
    return end if math.isfinite(end) else None


def _numbers(rig: Rig, story: Story, end: Ended, found: Evidence) -> dict[str, Any]:
    numbers: dict[str, Any] = {"checked": found.checked}
    if story.predicted is not None:
        numbers["predicted"] = story.predicted
    if found.screened is not None:
        facts = Facts(
            slices=slices(found.screened.comparison),
            seconds=rig.phases.seconds.get("compare"),
            core=rig.cores[0],
            aa=rig.aa,
        )
        policy = found.screened.policy
        numbers["gate"] = gate_numbers(found.screened.result, facts, policy)
        if found.confirmed is not None:
            numbers["confirm"] = confirm_numbers(found.confirmed.result, policy)
            numbers |= defence_numbers(found.confirmed.result, found.confirmed.defences, policy)
    if end.fault is not None:
        numbers["fault"] = fault_numbers(end.fault)
    if found.built is not None:
        code = {"digest": found.built.digest, "cached": found.built.cached}
        numbers["code"] = {**code, "text_bytes": found.text_bytes}
    return numbers
