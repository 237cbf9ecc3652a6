"""Campaigns as a night leaves them: measured trials, written by the ledger's own API."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from campaign_parts import FIRST, TARGET, kernel, record

from lance_autoresearch.campaign.campaign import Campaign, create
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import TrialRecord, Verdict

COMBOS = ("scan8 16x2048 clustered", "scan8 96x4000 uniform", "table_l2 16x8 residual")


def measured(gains: tuple[float, ...], *, width: float = 0.4, pairs: int = 9) -> dict[str, Any]:
    """The fields of a gate or confirmation with these gains per combo, %."""
    combos = [
        {"op": label.split(" ", 1)[0], "name": label.split(" ", 1)[1], "champion_ns": 1000.0,
         "candidate_ns": 1000.0 / (1 + gain / 100), "gain": gain, "low": gain - width,
         "high": gain + width, "guard": "ok"}
        for label, gain in zip(COMBOS, gains, strict=True)
    ]
    overall = sum(gains) / len(gains)
    part = {"name": "all", "gain": overall, "low": overall - width, "high": overall + width}
    return {"claim": "all", "pairs": pairs, "void": 0, "need": 4000.0, "combos": combos, **part,
            "components": [part]}


def trial(
    text: bytes,
    champion: bytes,
    verdict: Verdict = Verdict.REVERT,
    gains: tuple[float, ...] | None = (-1.0, -2.0, 0.1),
    **more: Any,
) -> TrialRecord:
    """A trial with measured numbers; `gains` None: not timed."""
    numbers: dict[str, Any] = dict(more.pop("numbers", {}))
    gain = None
    if gains is not None:
        numbers["gate"] = measured(gains)
        gain = sum(gains) / len(gains)
        if verdict is Verdict.KEEP:
            numbers["confirm"] = measured(gains, pairs=16)
    about: dict[str, Any] = {"gain": gain, "low": gain and gain - 0.4, "high": gain and gain + 0.4}
    about |= {"numbers": numbers, "phases": {"build": 0.2, "compare": 1.5, "python_cpu": 0.1}}
    return record(text, champion, verdict, **{**about, **more})


def small_night(root: Path, **more: Any) -> Campaign:
    """A campaign with a keep of each kind and one failure of each."""
    night = create(root, TARGET, FIRST, origin="upstream", era="14.0.2")
    one = b"// kernel 1\npub fn scan8() { fast(); }\n"
    night.record(trial(one, FIRST, Verdict.KEEP, (25.0, 25.0, 25.0), hypothesis="fast scan"), one)
    bad = [
        trial(kernel(2), one, Verdict.INCORRECT, None, hypothesis="fuse",
              reason="disagrees with Lance at 5x8, value 17",
              numbers={"fault": {"kind": "mismatch"}}),
        trial(kernel(3), one, Verdict.REJECTED, None, hypothesis="spawn", reason="`std::thread`"),
        trial(kernel(4), one, hypothesis="gather", reason="guard: scan8 96x4000 uniform -54.3%",
              gains=(1.0, -54.3, 0.0)),
        trial(kernel(5), one, hypothesis="slow", reason="slower"),
    ]
    for number, failed in enumerate(bad, 2):
        night.record(failed, kernel(number))
    return night


def long_night(root: Path, trials: int, *, seed: int = 7) -> Campaign:
    """A campaign of so many trials; every hundredth is kept (through git, as always)."""
    night = create(root, TARGET, FIRST, origin="upstream", era="14.0.2", name="long")
    dice, champion = random.Random(seed), FIRST
    with Ledger.open(root) as ledger:
        for number in range(1, trials + 1):
            text = kernel(number)
            if number % 100 == 50:
                gains = (dice.uniform(0.5, 9.0), dice.uniform(0.5, 6.0), dice.uniform(0.5, 4.0))
                idea = f"keep running sums in {number} registers"
                kept = trial(text, champion, Verdict.KEEP, gains, hypothesis=idea)
                night.record(kept, text)
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
