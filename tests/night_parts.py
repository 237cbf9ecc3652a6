"""Campaigns as a night leaves them: measured trials, written by the ledger's own API."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from campaign_parts import FIRST, TARGET, kernel, record

from lance_autoresearch.campaign.campaign import Campaign, create_campaign
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.ledger.results_json import decode_reason
from lance_autoresearch.records import (
    ComboId,
    ComboRow,
    Component,
    ConfirmResult,
    Estimate,
    Fault,
    FaultKind,
    GateResult,
    Guard,
    Outcome,
    Reason,
    ReasonKind,
    Results,
    TrialRecord,
    Verdict,
)

COMBOS = ("scan8 16x2048 clustered", "scan8 96x4000 uniform", "table_l2 16x8 residual")


def combos(gains: tuple[float, ...], width: float) -> tuple[ComboRow, ...]:
    """Rows of the verdict's table with these gains, %."""
    ids = (ComboId(*label.split(" ", 1)) for label in COMBOS)
    return tuple(
        ComboRow(combo, 1000.0, 1000.0 / (1 + gain / 100), gain, gain - width, gain + width,
                 Guard.OK)
        for combo, gain in zip(ids, gains, strict=True)
    )  # fmt: skip


def screened(gains: tuple[float, ...], *, width: float = 0.4, pairs: int = 9) -> GateResult:
    """A gate's result with these gains per combo, %."""
    overall = sum(gains) / len(gains)
    kept = overall > 0
    return GateResult(
        outcome=Outcome.KEEP_CANDIDATE if kept else Outcome.REVERT,
        reason=Reason(ReasonKind.PROVEN if kept else ReasonKind.SLOWER),
        claim="all", e=9100.0 if kept else 0.0, threshold=4000.0,
        components=(Component("all", overall, overall - width, overall + width, 0.0, 0.0),),
        combos=combos(gains, width), pairs=pairs, void=0,
    )  # fmt: skip


def confirmed(gains: tuple[float, ...], *, width: float = 0.4, pairs: int = 16) -> ConfirmResult:
    """A confirmation's keep with these gains per combo, %."""
    overall = sum(gains) / len(gains)
    return ConfirmResult(
        verdict=Verdict.KEEP, reason=Reason(ReasonKind.CONFIRMED, at_confirmation=True),
        claim="all",
        components=(Estimate("all", overall, overall - width, overall + width, pairs),),
        combos=combos(gains, width), long_blocks=None, pairs=pairs, void=0,
    )  # fmt: skip


def trial(
    text: bytes,
    champion: bytes,
    verdict: Verdict = Verdict.REVERT,
    gains: tuple[float, ...] | None = (-1.0, -2.0, 0.1),
    results: Results | None = None,
    **more: Any,
) -> TrialRecord:
    """A trial with measured results; `gains` None: not timed.

    Args:
        results: what else the stages found.
    """
    found, gain = results or Results(), None
    if found.reason is None:
        sentence = more.get("reason", "slower")
        found = replace(found, reason=decode_reason(sentence))
    if gains is not None:
        keep = verdict is Verdict.KEEP
        found = replace(
            found, screening=screened(gains), confirmation=confirmed(gains) if keep else None
        )
        gain = sum(gains) / len(gains)
    about: dict[str, Any] = {"gain": gain, "low": gain and gain - 0.4, "high": gain and gain + 0.4}
    about |= {"results": found, "phases": {"build": 0.2, "compare": 1.5, "python_cpu": 0.1}}
    return record(text, champion, verdict, **{**about, **more})


def small_night(root: Path, **more: Any) -> Campaign:
    """A campaign with a keep of each kind and one failure of each."""
    night = create_campaign(root, TARGET, FIRST, origin="upstream", era="14.0.2")
    one = b"// kernel 1\npub fn scan8() { fast(); }\n"
    night.record_trial(
        trial(one, FIRST, Verdict.KEEP, (25.0, 25.0, 25.0), hypothesis="fast scan"), one
    )
    bad = [
        trial(kernel(2), one, Verdict.INCORRECT, None, hypothesis="fuse",
              reason="disagrees with Lance at 5x8, value 17",
              results=Results(fault=Fault(FaultKind.MISMATCH))),
        trial(kernel(3), one, Verdict.REJECTED, None, hypothesis="spawn", reason="`std::thread`"),
        trial(kernel(4), one, hypothesis="gather", reason="guard: scan8 96x4000 uniform -54.3%",
              gains=(1.0, -54.3, 0.0)),
        trial(kernel(5), one, hypothesis="slow", reason="slower"),
    ]
    for number, failed in enumerate(bad, 2):
        night.record_trial(failed, kernel(number))
    return night


def long_night(root: Path, trials: int, *, seed: int = 7) -> Campaign:
    """A campaign of so many trials; every hundredth is kept (through git, as always)."""
    night = create_campaign(root, TARGET, FIRST, origin="upstream", era="14.0.2", name="long")
    dice, champion = random.Random(seed), FIRST
    with Ledger.open(root) as ledger:
        for number in range(1, trials + 1):
            text = kernel(number)
            if number % 100 == 50:
                gains = (dice.uniform(0.5, 9.0), dice.uniform(0.5, 6.0), dice.uniform(0.5, 4.0))
                idea = f"keep running sums in {number} registers"
                kept = trial(text, champion, Verdict.KEEP, gains, hypothesis=idea)
                night.record_trial(kept, text)
                champion = text
                continue
            ledger.append(_miss(dice, number, text, champion, night.name))
    return night


def _miss(
    dice: random.Random, number: int, text: bytes, champion: bytes, campaign: str
) -> TrialRecord:
    verdict = dice.choices(list(Verdict)[1:], (70, 15, 10, 5))[0]
    timed = verdict in (Verdict.REVERT, Verdict.INCONCLUSIVE)
    gains = tuple(dice.gauss(-6, 6) for _ in COMBOS) if timed else None
    return trial(
        text, champion, verdict, gains, campaign=campaign, tokens=1500, cost_usd=0.01,
        hypothesis=f"idea {number}: unroll the inner loop by {dice.choice((2, 4, 8))}",
        reason=dice.choice(("slower", "not proven: worth combining with another idea")),
    )
